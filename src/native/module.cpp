// The Python module `voltween._native`: arrays in, arrays out, nothing allocated here.
// Shapes are checked by its only user, native.py.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#ifdef _MSC_VER
#include <intrin.h>
#endif

#include "kernels.h"

namespace nb = nanobind;
using voltween::InstructionSet;
using voltween::Kernels;
using voltween::Size;

namespace {

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
template <class T>
using Optional = std::optional<Array<T>>;

#ifdef VOLTWEEN_X86
bool has_avx2() {
#ifdef _MSC_VER
  int leaf[4];
  __cpuidex(leaf, 1, 0);
  const bool has_fma = leaf[2] >> 12 & 1, has_xsave = leaf[2] >> 27 & 1;
  __cpuidex(leaf, 7, 0);
  return has_fma && has_xsave && (leaf[1] >> 5 & 1) && (_xgetbv(0) & 0x6) == 0x6;
#else
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
}

bool has_avx512() {
#ifdef _MSC_VER
  int leaf[4];
  __cpuidex(leaf, 7, 0);
  const int wanted = 1 << 16 | 1 << 17 | 1 << 30 | 1 << 31;  // F, DQ, BW, VL
  return has_avx2() && (leaf[1] & wanted) == wanted && (_xgetbv(0) & 0xe6) == 0xe6;
#else
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#endif
}
#endif

std::vector<const InstructionSet*> supported_sets() {
  std::vector<const InstructionSet*> sets;
#ifdef VOLTWEEN_X86
  if (has_avx512()) sets.push_back(&voltween::avx512());
  if (has_avx2()) sets.push_back(&voltween::avx2());
#endif
  sets.push_back(&voltween::plain());
  return sets;
}

// The best set of this processor, or the one that VOLTWEEN_INSTRUCTIONS names.
const InstructionSet& chosen_set() {
  const auto sets = supported_sets();
  const char* wanted = std::getenv("VOLTWEEN_INSTRUCTIONS");
  if (wanted == nullptr || *wanted == 0) return *sets.front();
  std::string names;
  for (const auto* set : sets) {
    if (std::string(wanted) == set->name) return *set;
    names += std::string(names.empty() ? "" : ", ") + set->name;
  }
  throw std::runtime_error("VOLTWEEN_INSTRUCTIONS must be one of those this processor has (" +
                           names + "), got '" + wanted + "'");
}

const InstructionSet* active = nullptr;

template <class T>
const Kernels<T>& kernels() {
  if constexpr (std::is_same_v<T, float>)
    return active->single;
  else
    return active->twofold;
}

// Half precision comes as the whole numbers of its bits.
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, int16_t>, voltween::Bfloat16, T>;

template <class T>
const voltween::LayerKernels<Stored<T>>& layers() {
  if constexpr (std::is_same_v<T, int16_t>)
    return active->half;
  else
    return kernels<T>().layers;
}

template <class T>
Stored<T>* stored(const Array<T>& array) {
  return reinterpret_cast<Stored<T>*>(array.data());
}

// Size of an array with channels last.
template <class T>
Size layer_size_of(const Array<T>& a) {
  return {static_cast<int64_t>(a.shape(0)), static_cast<int64_t>(a.shape(4)),
          static_cast<int64_t>(a.shape(1)), static_cast<int64_t>(a.shape(2)),
          static_cast<int64_t>(a.shape(3))};
}

template <class T>
Size size_of(const Array<T>& a) {
  return {static_cast<int64_t>(a.shape(0)), static_cast<int64_t>(a.shape(1)),
          static_cast<int64_t>(a.shape(2)), static_cast<int64_t>(a.shape(3)),
          static_cast<int64_t>(a.shape(4))};
}

template <class T>
T* data(const Optional<T>& array) {
  return array ? array->data() : nullptr;
}

template <class T>
void bind_layers(nb::module_& m) {
  m.def("join", [](const Array<T>& skip, const Array<T>& features, const Array<T>& prediction,
                   double leak, const Array<T>& joined, int threads) {
    nb::gil_scoped_release release;
    layers<T>().join(layer_size_of(skip), stored(skip), stored(features),
                     static_cast<int64_t>(features.shape(4)) / 8, stored(prediction), leak,
                     stored(joined), threads);
  });
  m.def("join_backward", [](const Array<T>& joined, const Array<T>& gradient, double leak,
                            const Array<T>& skip_gradient, const Array<T>& feature_gradient,
                            const Array<T>& prediction_gradient, int threads) {
    nb::gil_scoped_release release;
    layers<T>().join_backward(layer_size_of(skip_gradient), stored(joined), stored(gradient),
                              static_cast<int64_t>(feature_gradient.shape(4)) / 8, leak,
                              stored(skip_gradient), stored(feature_gradient),
                              stored(prediction_gradient), threads);
  });
}

template <class T>
void bind(nb::module_& m) {
  m.def("interleave",
        [](const Array<T>& phases, double scale, const Array<T>& flow, int threads) {
          nb::gil_scoped_release release;
          kernels<T>().interleave(size_of(flow), phases.data(), scale, flow.data(), threads);
        });
  m.def("interleave_backward", [](const Array<T>& gradient, double scale,
                                  const Array<T>& phase_gradient, int threads) {
    nb::gil_scoped_release release;
    kernels<T>().interleave_backward(size_of(gradient), gradient.data(), scale,
                                     phase_gradient.data(), threads);
  });
  m.def("warp", [](const Array<T>& image, const Array<T>& flow, bool is_composition,
                   const Array<T>& moved, int threads) {
    nb::gil_scoped_release release;
    kernels<T>().warp(size_of(image), image.data(), flow.data(), is_composition, moved.data(),
                      threads);
  });
  m.def(
      "warp_backward",
      [](const Array<T>& image, const Array<T>& flow, const Array<T>& gradient,
         bool is_composition, const Optional<T>& image_gradient,
         const Optional<T>& flow_gradient, int threads) {
        nb::gil_scoped_release release;
        kernels<T>().warp_backward(size_of(image), image.data(), flow.data(), gradient.data(),
                                   is_composition, data(image_gradient), data(flow_gradient),
                                   threads);
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none(),
      nb::arg());
  m.def("compose_affine", [](const Array<T>& numbers, const Array<T>& inner,
                             const Array<T>& result, int threads) {
    nb::gil_scoped_release release;
    kernels<T>().compose_affine(size_of(inner), numbers.data(), inner.data(), result.data(),
                                threads);
  });
  m.def("compose_affine_backward",
        [](const Array<T>& numbers, const Array<T>& inner, const Array<T>& gradient,
           const Array<T>& number_gradient, const Array<T>& inner_gradient, int threads) {
          nb::gil_scoped_release release;
          kernels<T>().compose_affine_backward(size_of(inner), numbers.data(), inner.data(),
                                               gradient.data(), number_gradient.data(),
                                               inner_gradient.data(), threads);
        });
  m.def("moments", [](const Array<T>& fixed, const Array<T>& moved,
                      const Array<double>& moments, int threads) {
    nb::gil_scoped_release release;
    kernels<T>().moments(size_of(fixed), fixed.data(), moved.data(), moments.data(), threads);
  });
  m.def(
      "moments_backward",
      [](const Array<T>& fixed, const Array<T>& moved, const Array<double>& gradient,
         const Optional<T>& fixed_gradient, const Optional<T>& moved_gradient, int threads) {
        nb::gil_scoped_release release;
        kernels<T>().moments_backward(size_of(fixed), fixed.data(), moved.data(),
                                      gradient.data(), data(fixed_gradient),
                                      data(moved_gradient), threads);
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg());
  m.def("local_correlation", [](const Array<T>& fixed, const Array<T>& moved, int64_t width,
                                double floor, const Array<double>& sums, int threads) {
    nb::gil_scoped_release release;
    kernels<T>().local_correlation(size_of(fixed), fixed.data(), moved.data(), width, floor,
                                   sums.data(), threads);
  });
  m.def(
      "local_correlation_backward",
      [](const Array<T>& fixed, const Array<T>& moved, int64_t width, double floor,
         const Array<double>& gradient, const Optional<T>& fixed_gradient,
         const Optional<T>& moved_gradient, int threads) {
        nb::gil_scoped_release release;
        kernels<T>().local_correlation_backward(
            size_of(fixed), fixed.data(), moved.data(), width, floor, gradient.data(),
            data(fixed_gradient), data(moved_gradient), threads);
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none(),
      nb::arg());
  m.def("total_variation", [](const Array<T>& flow, const Array<double>& sums, int threads) {
    nb::gil_scoped_release release;
    kernels<T>().total_variation(size_of(flow), flow.data(), sums.data(), threads);
  });
  m.def("total_variation_backward", [](const Array<T>& flow, const Array<double>& gradient,
                                       const Array<T>& flow_gradient, int threads) {
    nb::gil_scoped_release release;
    kernels<T>().total_variation_backward(size_of(flow), flow.data(), gradient.data(),
                                          flow_gradient.data(), threads);
  });
  m.def("jacobian", [](const Array<T>& flow, const Array<T>& determinant, int threads) {
    nb::gil_scoped_release release;
    kernels<T>().jacobian(size_of(flow), flow.data(), determinant.data(), threads);
  });
  m.def("jacobian_backward", [](const Array<T>& flow, const Array<T>& gradient,
                                const Array<T>& flow_gradient, int threads) {
    nb::gil_scoped_release release;
    kernels<T>().jacobian_backward(size_of(flow), flow.data(), gradient.data(),
                                   flow_gradient.data(), threads);
  });
  m.def("kernel_sums",
        [](const Array<T>& points, double sharpness, const Array<T>& sums, int threads) {
          nb::gil_scoped_release release;
          kernels<T>().kernel_sums(static_cast<int64_t>(points.shape(0)),
                                   static_cast<int64_t>(points.shape(1)), points.data(),
                                   sharpness, sums.data(), threads);
        });
  m.def("kernel_sums_backward",
        [](const Array<T>& points, double sharpness, const Array<T>& gradient,
           const Array<T>& point_gradient, int threads) {
          nb::gil_scoped_release release;
          kernels<T>().kernel_sums_backward(
              static_cast<int64_t>(points.shape(0)), static_cast<int64_t>(points.shape(1)),
              points.data(), sharpness, gradient.data(), point_gradient.data(), threads);
        });
}

}  // namespace

NB_MODULE(_native, m) {
  active = &chosen_set();
  m.def("instruction_set", [] { return std::string(active->name); });
  m.def("instruction_sets", [] {
    std::vector<std::string> names;
    for (const auto* set : supported_sets()) names.push_back(set->name);
    return names;
  });
  bind_layers<float>(m);
  bind_layers<double>(m);
  bind_layers<int16_t>(m);
  bind<float>(m);
  bind<double>(m);
}
