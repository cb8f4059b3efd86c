// Kernels of scanner space: volumes read through a chain of maps, at every voxel of a
// grid. Arrays are contiguous, the last axis fastest. Positions are in double precision,
// in voxels of the grid that they lie on.
#pragma once

#include <cstdint>

namespace voltween::space {

struct Shape {
  int64_t i, j, k;
};

// Voxels of a grid from the first to before the last ones along each axis.
struct Box {
  int64_t first[3], stop[3];
};

enum class Reading : int64_t {
  linear,     // between voxels; no displacement half a voxel beyond the outermost ones
  continued,  // between voxels; beyond them, the nearest displacement
  spline,     // coefficients of a cubic B-spline; none beyond the last voxels but one
};

// A matrix, then a field of displacements: p = M x, then p + L u(p).
struct Step {
  double matrix[12];    // M, three rows of four
  Shape shape;          // of the field
  const double* field;  // u at the voxels, (i, j, k, 3); coefficients, (i, j, k, 4)
  double to_voxels[9];  // L, from u to voxels of the field
  Reading reading;
};

// The steps in the order in which they are applied, then a last matrix.
struct Chain {
  const Step* steps;
  int64_t count;
  const double* last;  // three rows of four
};

struct Kernels {
  const char* name;

  // Maps `count` positions, given as three rows.
  void (*map)(const Chain&, int64_t count, const double* positions, double* mapped,
              int threads);

  // Finds the origins of `count` positions: those that are mapped to them, starting from
  // the given ones. `errors` are what is left: mapped origins minus positions.
  void (*invert)(const Chain&, int64_t count, const double* positions, double tolerance,
                 int64_t iterations, double* origins, double* errors, int threads);

  // Inverts the field of a chain's only step, whose matrices are the identity: the vectors
  // v at its voxels with v(y) + u(y + v(y)) = 0, and the lengths of what is left of it.
  // `vectors` are u at the voxels, `to_mm` leads from voxels to their unit; the tolerance
  // is in voxels.
  void (*invert_field)(const Chain&, const double* vectors, const double* to_mm,
                       double tolerance, int64_t iterations, double* result, float* residuals,
                       int threads);

  // Turns the values of a cubic B-spline at the voxels, (i, j, k, component), into its
  // coefficients. There are none beyond the grid.
  void (*solve_splines)(Shape, int64_t components, double* numbers, int threads);

  // Interpolates `image` linearly at the mapped voxels of a grid of shape `onto`. Half a
  // voxel beyond its outermost voxels, the result is `outside`; if `is_soft`, the values
  // fall to `outside` within one voxel.
  void (*sample)(const Chain&, Shape onto, Shape shape, const float* image, float outside,
                 bool is_soft, float* result, int threads);

  // Takes the nearest voxel of `bytes` bytes each; beyond the volume, zero. Outside the
  // box, the result stays as it is.
  void (*pick)(const Chain&, Shape onto, const Box& box, Shape shape, const void* volume,
               int64_t bytes, void* result, int threads);

  // Displacements of the voxels of a grid, multiplied by the matrix `scale` (three rows of
  // three): (i, j, k, 3), or their lengths (i, j, k), zero where `where` is zero. Lengths
  // are those of fields in single precision.
  void (*displacements)(const Chain&, Shape onto, const double* scale, double* result,
                        int threads);
  void (*lengths)(const Chain&, Shape onto, const double* scale, const uint8_t* where,
                  float* result, int threads);

  // Determinant of the derivative of a map of a grid's voxels to voxels of the same grid,
  // by central differences, one-sided at the border.
  void (*determinants)(const Chain&, Shape onto, float* result, int threads);

  // Convolves a volume along its axes with three symmetric kernels, given by their middle
  // and the weights to one side. Beyond the border, the nearest voxel counts.
  void (*smooth)(Shape, const float* image, const float* const* weights, const int64_t* radii,
                 float* result, int threads);
};

const Kernels& plain();
#ifdef VOLTWEEN_X86
const Kernels& avx2();
const Kernels& avx512();
#endif

}  // namespace voltween::space
