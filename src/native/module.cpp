// The Python module `_native`: contiguous arrays in, results written in place, nothing
// allocated here. The bindings check the type and the number of axes of every array; the
// Python modules that register the operations with PyTorch check the shapes.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "choice.h"
#include "instruction_sets.h"
#include "kernels.h"

namespace nb = nanobind;
using voltween::ExactKernels;
using voltween::ExactSet;
using voltween::InstructionSet;
using voltween::LayerKernels;
using voltween::PointsSize;
using voltween::Size;

namespace {

template <class T, class Axes>
using Array = nb::ndarray<T, Axes, nb::c_contig, nb::device::cpu>;

// An input, which may be None where it is optional; a result; and a gradient, which is None
// where it is not wanted.
template <class T, size_t axes>
using In = Array<const T, nb::ndim<axes>>;
template <class T, size_t axes>
using Out = Array<T, nb::ndim<axes>>;
template <class T>
using Given = std::optional<In<T, 5>>;
template <class T>
using Wanted = std::optional<Out<T, 5>>;

// The eight phases of a flow, channels last.
template <class T>
using Phases = Array<T, nb::shape<-1, -1, -1, -1, 24>>;

std::vector<const InstructionSet*> supported_sets() {
#ifdef VOLTWEEN_X86
  return voltween::supported(voltween::avx512, voltween::avx2, voltween::plain);
#else
  return {&voltween::plain()};
#endif
}

// The set of Winograd's kernels, and the sets that all others are chosen from.
const InstructionSet* active = nullptr;
std::vector<const InstructionSet*> candidates;

// Uses one set alone or, if it is not named, the best one and of all others the fastest.
void use(const std::string& name) {
  const auto sets = supported_sets();
  active = name.empty() ? sets.front() : &voltween::named(sets, name);
  candidates = name.empty() ? sets : std::vector{active};
}

template <class T>
const ExactKernels<T>& kernels_of(const ExactSet& set) {
  if constexpr (std::is_same_v<T, float>)
    return set.float32;
  else
    return set.float64;
}

template <class T>
int64_t length(const T& array, size_t axis) {
  return static_cast<int64_t>(array.shape(axis));
}

template <class T>
Size size_of(const In<T, 5>& a) {
  return {length(a, 0), length(a, 1), length(a, 2), length(a, 3), length(a, 4)};
}

template <class T>
Size size_of(const Out<T, 5>& a) {
  return {length(a, 0), length(a, 1), length(a, 2), length(a, 3), length(a, 4)};
}

template <class T>
PointsSize size_of(const In<T, 2>& a) {
  return {length(a, 0), length(a, 1)};
}

// The size of the first array that has one of the type asked for.
template <class KernelSize, class First, class... Rest>
KernelSize first_size(const First& first, const Rest&... rest) {
  if constexpr (requires(KernelSize size) { size = size_of(first); })
    return size_of(first);
  else
    return first_size<KernelSize>(rest...);
}

// Numbers of a flow of a size.
inline size_t flow_numbers(const Size& size) {
  return static_cast<size_t>(3 * size.batch * size.i * size.j * size.k);
}
inline size_t flow_numbers(const PointsSize&) { return 0; }

// An argument as the kernel takes it: an array by its address, a number as it is.
template <class T, class Axes>
T* passed(const Array<T, Axes>& array) {
  return array.data();
}

template <class T, class Axes>
T* passed(const std::optional<Array<T, Axes>>& array) {
  return array ? array->data() : nullptr;
}

template <class T>
T passed(const T& number) {
  return number;
}

template <class T>
constexpr bool is_optional = false;
template <class T>
constexpr bool is_optional<std::optional<T>> = true;

template <class T>
constexpr bool is_result = false;
template <class T, class Axes>
constexpr bool is_result<Array<T, Axes>> = !std::is_const_v<T>;

// A result is never converted: the kernel would write to the copy.
template <class T>
auto annotation() {
  if constexpr (is_optional<T>)
    return nb::arg().noconvert().none();
  else if constexpr (is_result<T>)
    return nb::arg().noconvert();
  else
    return nb::arg();
}

// An array of results as a trial passes it: `scratch`, unless that is empty, in place of an
// array that the kernel adds to.
template <class T, class Argument>
auto tried(const Argument& argument, std::vector<T>& scratch) {
  if constexpr (std::is_same_v<Argument, Out<T, 5>> || std::is_same_v<Argument, Wanted<T>>) {
    T* const array = passed(argument);
    return scratch.empty() || array == nullptr ? array : scratch.data();
  } else {
    return passed(argument);
  }
}

// Whether a kernel overwrites its results, or adds to a gradient of a flow.
enum class Writes { results, sums };

// Binds a kernel to the Python function `name`. Its parameters are `Parameters` and the
// number of threads; the kernel takes the same in the same order, after the size of the
// first array that has one. It is that of the instruction set that is the fastest here.
template <class... Parameters, class T, class KernelSize, class... Rest>
void bind(nb::module_& m, const char* name,
          void (*ExactKernels<T>::*kernel)(KernelSize, Rest...),
          Writes writes = Writes::results) {
  const std::string type = std::is_same_v<T, float> ? " float32" : " float64";
  const auto choice = std::make_shared<voltween::Choice>(name + type);
  m.def(
      name,
      [kernel, choice, writes](const Parameters&... arguments, int threads) {
        const auto size = first_size<KernelSize>(arguments...);
        std::vector<T> scratch;
        const auto trial = [&](const InstructionSet& set, const KernelSize& part) {
          if (writes == Writes::sums) scratch.assign(flow_numbers(part), T(0));
          (kernels_of<T>(set.exact()).*kernel)(part, tried<T>(arguments, scratch)..., 1);
        };
        const InstructionSet& set = choice->of(candidates, size, trial);
        nb::gil_scoped_release release;
        (kernels_of<T>(set.exact()).*kernel)(size, passed(arguments)..., threads);
      },
      annotation<Parameters>()..., nb::arg());
}

template <class T>
void bind_kernels(nb::module_& m) {
  bind<Phases<const T>, double, Out<T, 5>>(m, "interleave", &ExactKernels<T>::interleave);
  bind<In<T, 5>, double, Phases<T>>(m, "interleave_backward",
                                    &ExactKernels<T>::interleave_backward);
  bind<In<T, 5>, In<T, 5>, bool, Out<T, 5>>(m, "warp", &ExactKernels<T>::warp);
  bind<In<T, 5>, In<T, 5>, In<T, 5>, bool, Wanted<T>, Wanted<T>>(
      m, "warp_backward", &ExactKernels<T>::warp_backward);
  bind<In<T, 2>, In<T, 5>, Out<T, 5>>(m, "compose_affine", &ExactKernels<T>::compose_affine);
  bind<In<T, 2>, In<T, 5>, In<T, 5>, Out<T, 2>, Out<T, 5>>(
      m, "compose_affine_backward", &ExactKernels<T>::compose_affine_backward);
  bind<In<T, 5>, In<T, 5>, Out<double, 2>>(m, "moments", &ExactKernels<T>::moments);
  bind<In<T, 5>, In<T, 5>, In<double, 2>, Wanted<T>, Wanted<T>>(
      m, "moments_backward", &ExactKernels<T>::moments_backward);
  bind<In<T, 5>, In<T, 5>, int64_t, double, Out<double, 1>>(
      m, "local_correlation", &ExactKernels<T>::local_correlation);
  bind<In<T, 5>, In<T, 5>, int64_t, double, In<double, 1>, Wanted<T>, Wanted<T>>(
      m, "local_correlation_backward", &ExactKernels<T>::local_correlation_backward);
  bind<In<T, 5>, int64_t, Out<T, 5>>(m, "cube_statistics", &ExactKernels<T>::cube_statistics);
  bind<In<T, 5>, In<T, 5>, In<T, 5>, Given<T>, In<T, 2>, In<T, 5>, int64_t, double, double,
       Out<double, 1>, Wanted<T>>(m, "add_warped_correlation",
                                  &ExactKernels<T>::add_warped_correlation, Writes::sums);
  bind<Given<T>, Given<T>, Given<T>, In<T, 2>, In<T, 5>, double, Out<T, 5>>(
      m, "mask_weights", &ExactKernels<T>::mask_weights);
  bind<In<T, 4>, In<T, 4>, Given<T>, In<T, 2>, In<T, 5>, int64_t, double, Out<double, 1>,
       Out<T, 5>>(m, "add_warped_difference", &ExactKernels<T>::add_warped_difference,
                  Writes::sums);
  bind<In<T, 5>, In<T, 5>, In<T, 5>, int64_t, Out<T, 3>>(m, "joint_histogram",
                                                         &ExactKernels<T>::joint_histogram);
  bind<In<T, 5>, In<T, 5>, In<T, 5>, In<T, 3>, int64_t, Wanted<T>, Wanted<T>, Wanted<T>>(
      m, "joint_histogram_backward", &ExactKernels<T>::joint_histogram_backward);
  bind<In<T, 5>, double, Out<double, 1>, Out<T, 5>>(
      m, "add_variation", &ExactKernels<T>::add_variation, Writes::sums);
  bind<In<T, 5>, double, double, Out<double, 1>, Out<T, 5>>(
      m, "add_folding", &ExactKernels<T>::add_folding, Writes::sums);
  bind<In<T, 5>, Out<double, 1>>(m, "total_variation", &ExactKernels<T>::total_variation);
  bind<In<T, 5>, In<double, 1>, Out<T, 5>>(m, "total_variation_backward",
                                           &ExactKernels<T>::total_variation_backward);
  bind<In<T, 5>, Out<T, 4>>(m, "jacobian", &ExactKernels<T>::jacobian);
  bind<In<T, 5>, In<T, 4>, Out<T, 5>>(m, "jacobian_backward",
                                      &ExactKernels<T>::jacobian_backward);
  bind<In<T, 2>, double, Out<T, 1>>(m, "kernel_sums", &ExactKernels<T>::kernel_sums);
  bind<In<T, 2>, double, In<T, 1>, Out<T, 2>>(m, "kernel_sums_backward",
                                              &ExactKernels<T>::kernel_sums_backward);
}

// A kernel that is not bound by `bind`: calls run(kernels, size, threads) with the kernels of
// the fastest set.
template <class Run>
void run_fastest(voltween::Choice& choice, const Size& size, int threads, const Run& run) {
  const auto trial = [&](const InstructionSet& set, const Size& part) {
    run(set.exact(), part, 1);
  };
  const InstructionSet& set = choice.of(candidates, size, trial);
  nb::gil_scoped_release release;
  run(set.exact(), size, threads);
}

// These kernels take two sizes.
template <class T>
void bind_spreading(nb::module_& m) {
  const std::string type = std::is_same_v<T, float> ? " float32" : " float64";
  const auto forward = std::make_shared<voltween::Choice>("spread" + type);
  const auto backward = std::make_shared<voltween::Choice>("spread_backward" + type);
  m.def(
      "spread",
      [forward](const In<T, 5>& control, const Out<T, 5>& result, int threads) {
        run_fastest(*forward, size_of<T>(result), threads,
                    [&](const ExactSet& set, const Size& size, int parts) {
                      Size points = size_of<T>(control);
                      kernels_of<T>(set).spread(size, points, control.data(), result.data(),
                                                parts);
                    });
      },
      annotation<In<T, 5>>(), annotation<Out<T, 5>>(), nb::arg());
  m.def(
      "spread_backward",
      [backward](const In<T, 5>& gradient, const Out<T, 5>& control_gradient, int threads) {
        run_fastest(*backward, size_of<T>(gradient), threads,
                    [&](const ExactSet& set, const Size& size, int parts) {
                      kernels_of<T>(set).spread_backward(size, size_of<T>(control_gradient),
                                                         gradient.data(),
                                                         control_gradient.data(), parts);
                    });
      },
      annotation<In<T, 5>>(), annotation<Out<T, 5>>(), nb::arg());
}

// Layers of a network also come in bfloat16, as the int16 numbers of its bits.
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, int16_t>, voltween::Bfloat16, T>;

template <class T>
const LayerKernels<Stored<T>>& layers_of(const ExactSet& set) {
  if constexpr (std::is_same_v<T, int16_t>)
    return set.bfloat16;
  else
    return kernels_of<T>(set).layers;
}

template <class T>
const Stored<T>* stored(const In<T, 5>& array) {
  return reinterpret_cast<const Stored<T>*>(array.data());
}

template <class T>
Stored<T>* stored(const Out<T, 5>& array) {
  return reinterpret_cast<Stored<T>*>(array.data());
}

// Size of an array with channels last.
template <class A>
Size layer_size_of(const A& a) {
  return {length(a, 0), length(a, 4), length(a, 1), length(a, 2), length(a, 3)};
}

// Number of channels of an array that has eight phases of each.
template <class A>
int64_t phase_channels(const A& a) {
  return length(a, 4) / 8;
}

// These kernels also take a number of channels.
template <class T>
void bind_layer_kernels(nb::module_& m) {
  const std::string type = std::is_same_v<T, int16_t> ? " bfloat16"
                           : std::is_same_v<T, float> ? " float32"
                                                      : " float64";
  const auto forward = std::make_shared<voltween::Choice>("join" + type);
  const auto backward = std::make_shared<voltween::Choice>("join_backward" + type);
  m.def(
      "join",
      [forward](const In<T, 5>& skip, const In<T, 5>& features, const In<T, 5>& prediction,
                double leak, const Out<T, 5>& joined, int threads) {
        run_fastest(*forward, layer_size_of(skip), threads,
                    [&](const ExactSet& set, const Size& size, int parts) {
                      layers_of<T>(set).join(size, stored<T>(skip), stored<T>(features),
                                             phase_channels(features), stored<T>(prediction),
                                             leak, stored<T>(joined), parts);
                    });
      },
      annotation<In<T, 5>>(), annotation<In<T, 5>>(), annotation<In<T, 5>>(), nb::arg(),
      annotation<Out<T, 5>>(), nb::arg());
  m.def(
      "join_backward",
      [backward](const In<T, 5>& joined, const In<T, 5>& gradient, double leak,
                 const Out<T, 5>& skip_gradient, const Out<T, 5>& feature_gradient,
                 const Out<T, 5>& prediction_gradient, int threads) {
        run_fastest(*backward, layer_size_of(skip_gradient), threads,
                    [&](const ExactSet& set, const Size& size, int parts) {
                      layers_of<T>(set).join_backward(
                          size, stored<T>(joined), stored<T>(gradient),
                          phase_channels(feature_gradient), leak, stored<T>(skip_gradient),
                          stored<T>(feature_gradient), stored<T>(prediction_gradient), parts);
                    });
      },
      annotation<In<T, 5>>(), annotation<In<T, 5>>(), nb::arg(), annotation<Out<T, 5>>(),
      annotation<Out<T, 5>>(), annotation<Out<T, 5>>(), nb::arg());
}

int64_t winograd_panel(int64_t columns) {
  return active->winograd.panel == nullptr ? 0 : active->winograd.panel(columns);
}

voltween::Convolution winograd_layer(const In<float, 5>& x, const In<float, 4>& weights,
                                     int64_t columns, int taps, int padding) {
  const int points = length(weights, 1) == 64 ? 4 : 3;
  return {layer_size_of(x), columns, points, taps, padding, weights.data()};
}

void bind_winograd(nb::module_& m) {
  m.def("winograd_panel", winograd_panel, nb::arg());
  m.def(
      "winograd",
      [](const In<float, 5>& x, const In<float, 4>& weights,
         const std::optional<In<float, 1>>& bias, int taps, int padding, float leak,
         const Out<float, 5>& result, int threads) {
        nb::gil_scoped_release release;
        active->winograd.convolve(winograd_layer(x, weights, length(result, 4), taps, padding),
                                  x.data(), bias ? bias->data() : nullptr, leak, result.data(),
                                  threads);
      },
      annotation<In<float, 5>>(), annotation<In<float, 4>>(), nb::arg().none(), nb::arg(),
      nb::arg(), nb::arg(), annotation<Out<float, 5>>(), nb::arg());
  m.def(
      "winograd_join",
      [](const In<float, 5>& x, const In<float, 4>& weights, const In<float, 5>& skip,
         const In<float, 5>& prediction, float leak, const Out<float, 5>& joined, int threads) {
        nb::gil_scoped_release release;
        const int64_t skips = length(skip, 4), features = length(joined, 4) - skips - 3;
        active->winograd.join(winograd_layer(x, weights, 8 * features, 2, 1), x.data(), skips,
                              skip.data(), prediction.data(), leak, joined.data(), threads);
      },
      annotation<In<float, 5>>(), annotation<In<float, 4>>(), annotation<In<float, 5>>(),
      annotation<In<float, 5>>(), nb::arg(), annotation<Out<float, 5>>(), nb::arg());
  m.def(
      "winograd_flow",
      [](const In<float, 5>& x, const In<float, 4>& weights, float scale,
         const Out<float, 5>& flow, int threads) {
        nb::gil_scoped_release release;
        active->winograd.flow(winograd_layer(x, weights, 8 * length(flow, 1), 2, 1), x.data(),
                              scale, flow.data(), threads);
      },
      annotation<In<float, 5>>(), annotation<In<float, 4>>(), nb::arg(),
      annotation<Out<float, 5>>(), nb::arg());
  m.def(
      "weight_gradient",
      [](const In<float, 5>& x, const In<float, 5>& gradient, int taps, int stride, int padding,
         const Out<float, 5>& result, int threads) {
        nb::gil_scoped_release release;
        active->winograd.weight_gradient({layer_size_of(x), layer_size_of(gradient), taps,
                                          stride, padding, x.data(), gradient.data()},
                                         result.data(), threads);
      },
      annotation<In<float, 5>>(), annotation<In<float, 5>>(), nb::arg(), nb::arg(), nb::arg(),
      annotation<Out<float, 5>>(), nb::arg());
}

}  // namespace

NB_MODULE(_native, m) {
  use(voltween::wanted_set());
  m.def("use", use);
  m.def("processor", voltween::processor);
  m.def("instruction_set", [] { return std::string(active->name); });
  m.def("instruction_sets", [] {
    std::vector<std::string> names;
    for (const auto* set : supported_sets()) names.push_back(set->name);
    return names;
  });
  bind_kernels<float>(m);
  bind_kernels<double>(m);
  bind_spreading<float>(m);
  bind_spreading<double>(m);
  bind_layer_kernels<float>(m);
  bind_layer_kernels<double>(m);
  bind_layer_kernels<int16_t>(m);
  bind_winograd(m);
}
