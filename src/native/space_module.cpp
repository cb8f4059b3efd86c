// The Python module `voltween.spatial._native`: kernels of scanner space on NumPy arrays.
// Contiguous arrays in, results written in place. Everything that a kernel trusts is
// checked here: types, axes, shapes.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <cstring>
#include <string>
#include <vector>

#include "instruction_sets.h"
#include "space.h"

namespace nb = nanobind;
using voltween::space::Box;
using voltween::space::Kernels;
using voltween::space::Reading;
using voltween::space::Shape;
using voltween::space::Step;

namespace {

template <class T, class... Axes>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu, Axes...>;
using Matrix = Array<const double, nb::shape<3, 4>>;
using Linear = Array<const double, nb::shape<3, 3>>;
using Field = Array<const double, nb::ndim<4>>;
using Rows = Array<const double, nb::shape<3, -1>>;
using RowsOut = Array<double, nb::shape<3, -1>>;
using Vectors = Array<const double, nb::shape<-1, -1, -1, 3>>;
using VectorsOut = Array<double, nb::shape<-1, -1, -1, 3>>;
using Volume = Array<const float, nb::ndim<3>>;
using VolumeOut = Array<float, nb::ndim<3>>;
using Mask = Array<const uint8_t, nb::ndim<3>>;
using Ends = Array<const int64_t, nb::shape<3, 2>>;
using Weights = Array<const float, nb::ndim<1>>;

const Kernels* active = nullptr;

template <class A>
int64_t length(const A& array, size_t axis) {
  return static_cast<int64_t>(array.shape(axis));
}

template <class A>
Shape shape_of(const A& array) {
  return {length(array, 0), length(array, 1), length(array, 2)};
}

void check(bool is_right, const char* message) {
  if (!is_right) throw nb::value_error(message);
}

template <class A>
void check_has_voxels(const A& array) {
  check(length(array, 0) > 0 && length(array, 1) > 0 && length(array, 2) > 0,
        "a volume must have voxels along every axis");
}

template <class A, class B>
void check_same_shape(const A& array, const B& result) {
  for (size_t axis = 0; axis < 3; ++axis)
    check(length(array, axis) == length(result, axis),
          "the result must have the shape of the volume");
}

void check_count(const Rows& positions, const RowsOut& results) {
  check(length(positions, 1) == length(results, 1), "as many results as positions");
}

// Steps, with the arrays that they point to.
class Chain {
 public:
  explicit Chain(const Matrix& last) { std::memcpy(last_, last.data(), sizeof last_); }

  void add(const Matrix& matrix, const Field& field, const Linear& to_voxels,
           const std::string& reading) {
    Step step{};
    step.reading = reading_of(reading);
    const int64_t components = step.reading == Reading::spline ? 4 : 3;
    check(length(field, 3) == components, "a field must have 3 components, a spline 4");
    check_has_voxels(field);
    std::memcpy(step.matrix, matrix.data(), sizeof step.matrix);
    std::memcpy(step.to_voxels, to_voxels.data(), sizeof step.to_voxels);
    step.shape = shape_of(field);
    step.field = field.data();
    steps_.push_back(step);
    fields_.push_back(field);
  }

  voltween::space::Chain view() const {
    return {steps_.data(), static_cast<int64_t>(steps_.size()), last_};
  }

 private:
  static Reading reading_of(const std::string& name) {
    if (name == "linear") return Reading::linear;
    if (name == "continued") return Reading::continued;
    check(name == "spline", "a field is read as linear, continued or spline");
    return Reading::spline;
  }

  double last_[12];
  std::vector<Step> steps_;
  std::vector<Field> fields_;
};

void map(const Chain& chain, const Rows& positions, const RowsOut& mapped, int threads) {
  check_count(positions, mapped);
  nb::gil_scoped_release release;
  active->map(chain.view(), length(positions, 1), positions.data(), mapped.data(), threads);
}

void invert(const Chain& chain, const Rows& positions, double tolerance, int64_t iterations,
            const RowsOut& origins, const RowsOut& errors, int threads) {
  check_count(positions, origins);
  check_count(positions, errors);
  nb::gil_scoped_release release;
  active->invert(chain.view(), length(positions, 1), positions.data(), tolerance, iterations,
                 origins.data(), errors.data(), threads);
}

void invert_field(const Chain& chain, const Vectors& vectors, const Linear& to_mm,
                  double tolerance, int64_t iterations, const VectorsOut& result,
                  const VolumeOut& residuals, int threads) {
  const auto view = chain.view();
  check(view.count == 1, "a chain of one field is inverted");
  const Shape& shape = view.steps[0].shape;
  for (const Shape& other : {shape_of(vectors), shape_of(result), shape_of(residuals)})
    check(other.i == shape.i && other.j == shape.j && other.k == shape.k,
          "vectors and results must have the shape of the field");
  nb::gil_scoped_release release;
  active->invert_field(view, vectors.data(), to_mm.data(), tolerance, iterations, result.data(),
                       residuals.data(), threads);
}

void solve_splines(const Array<double, nb::ndim<4>>& numbers, int threads) {
  check_has_voxels(numbers);
  nb::gil_scoped_release release;
  active->solve_splines(shape_of(numbers), length(numbers, 3), numbers.data(), threads);
}

void sample(const Chain& chain, const Volume& image, float outside, bool is_soft,
            const VolumeOut& result, int threads) {
  check_has_voxels(image);
  nb::gil_scoped_release release;
  active->sample(chain.view(), shape_of(result), shape_of(image), image.data(), outside,
                 is_soft, result.data(), threads);
}

template <class A>
Box box_within(const Ends& ends, const A& array) {
  Box box{};
  for (int64_t axis = 0; axis < 3; ++axis) {
    box.first[axis] = ends(axis, 0), box.stop[axis] = ends(axis, 1);
    check(0 <= box.first[axis] && box.first[axis] <= box.stop[axis] &&
              box.stop[axis] <= length(array, static_cast<size_t>(axis)),
          "the box must lie within the result");
  }
  return box;
}

template <class T>
void pick(const Chain& chain, const Array<const T, nb::ndim<3>>& volume, const Ends& ends,
          const Array<T, nb::ndim<3>>& result, int threads) {
  check_has_voxels(volume);
  const Box box = box_within(ends, result);
  nb::gil_scoped_release release;
  active->pick(chain.view(), shape_of(result), box, shape_of(volume), volume.data(), sizeof(T),
               result.data(), threads);
}

void displacements(const Chain& chain, const Linear& scale, const VectorsOut& result,
                   int threads) {
  nb::gil_scoped_release release;
  active->displacements(chain.view(), shape_of(result), scale.data(), result.data(), threads);
}

void lengths(const Chain& chain, const Linear& scale, const Mask& where,
             const VolumeOut& result, int threads) {
  check_same_shape(where, result);
  nb::gil_scoped_release release;
  active->lengths(chain.view(), shape_of(result), scale.data(), where.data(), result.data(),
                  threads);
}

void determinants(const Chain& chain, const VolumeOut& result, int threads) {
  check(length(result, 0) > 1 && length(result, 1) > 1 && length(result, 2) > 1,
        "determinants need at least 2 voxels along each axis");
  nb::gil_scoped_release release;
  active->determinants(chain.view(), shape_of(result), result.data(), threads);
}

void smooth(const Volume& image, const Weights& i, const Weights& j, const Weights& k,
            const VolumeOut& result, int threads) {
  check_same_shape(image, result);
  check(i.size() > 0 && j.size() > 0 && k.size() > 0, "a kernel must have a middle");
  check(image.data() != result.data(), "the result must not be the image");
  const float* weights[3] = {i.data(), j.data(), k.data()};
  const int64_t radii[3] = {length(i, 0) - 1, length(j, 0) - 1, length(k, 0) - 1};
  nb::gil_scoped_release release;
  active->smooth(shape_of(image), image.data(), weights, radii, result.data(), threads);
}

}  // namespace

NB_MODULE(_native, m) {
#ifdef VOLTWEEN_X86
  namespace space = voltween::space;
  active = &voltween::chosen(voltween::supported(space::avx512, space::avx2, space::plain));
#else
  active = &voltween::space::plain();
#endif
  m.def("instruction_set", [] { return std::string(active->name); });
  nb::class_<Chain>(m, "Chain").def(nb::init<const Matrix&>()).def("add", &Chain::add);
  const auto kept = nb::arg().noconvert();  // a converted result would be a copy
  m.def("map", map, nb::arg(), nb::arg(), kept, nb::arg());
  m.def("invert", invert, nb::arg(), nb::arg(), nb::arg(), nb::arg(), kept, kept, nb::arg());
  m.def("invert_field", invert_field, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
        kept, kept, nb::arg());
  m.def("solve_splines", solve_splines, kept, nb::arg());
  m.def("sample", sample, nb::arg(), kept, nb::arg(), nb::arg(), kept, nb::arg());
  m.def("pick", pick<uint8_t>, nb::arg(), kept, nb::arg(), kept, nb::arg());
  m.def("pick", pick<uint16_t>, nb::arg(), kept, nb::arg(), kept, nb::arg());
  m.def("pick", pick<uint32_t>, nb::arg(), kept, nb::arg(), kept, nb::arg());
  m.def("pick", pick<uint64_t>, nb::arg(), kept, nb::arg(), kept, nb::arg());
  m.def("displacements", displacements, nb::arg(), nb::arg(), kept, nb::arg());
  m.def("lengths", lengths, nb::arg(), nb::arg(), kept, kept, nb::arg());
  m.def("determinants", determinants, nb::arg(), kept, nb::arg());
  m.def("smooth", smooth, kept, nb::arg(), nb::arg(), nb::arg(), kept, nb::arg());
}
