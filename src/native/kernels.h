// The kernels of an instruction set. Unless noted, arrays are contiguous with axes (batch,
// channels, i, j, k), k fastest. Flows are in voxels, component c along array axis c.
#pragma once

#include <cstdint>

#include "size.h"

namespace voltween {

// The upper half of a float32.
struct Bfloat16 {
  uint16_t bits;
};

// Kernels on arrays with channels last. `Size` is that of the skip connection, which has
// the finer grid.
template <class T>
struct LayerKernels {
  // Joins [skip, interleaved features after the leaky ReLU, interleaved prediction]: the
  // input of a layer of the decoder.
  void (*join)(Size, const T* skip, const T* features, int64_t feature_channels,
               const T* prediction, double leak, T* joined, int threads);
  void (*join_backward)(Size, const T* joined, const T* gradient, int64_t feature_channels,
                        double leak, T* skip_gradient, T* feature_gradient,
                        T* prediction_gradient, int threads);
};

// Kernels whose results have the same bits with every instruction set: each number is
// computed by the same operations in the same order, and no product is rounded together
// with a sum. So the fastest set can be chosen for each of them by measurement.
template <class T>
struct ExactKernels {
  LayerKernels<T> layers;

  // Interleaves the phases of a flow (channels last) and multiplies by `scale`.
  void (*interleave)(Size, const T* phases, double scale, T* flow, int threads);
  void (*interleave_backward)(Size, const T* gradient, double scale, T* phase_gradient,
                              int threads);

  // moved = image at x + flow(x), plus flow(x) if is_composition.
  void (*warp)(Size, const T* image, const T* flow, bool is_composition, T* moved, int threads);
  // A gradient that is not wanted is null, here and below.
  void (*warp_backward)(Size, const T* image, const T* flow, const T* gradient,
                        bool is_composition, T* image_gradient, T* flow_gradient, int threads);

  // Composes an affine flow, 12 numbers per item, with the flow `inner` before it.
  void (*compose_affine)(Size, const T* numbers, const T* inner, T* result, int threads);

  // Per item of the batch: sums of f, m, f f, m m, f m over all voxels.
  void (*moments)(Size, const T* fixed, const T* moved, double* moments, int threads);
  void (*moments_backward)(Size, const T* fixed, const T* moved, const double* gradient,
                           T* fixed_gradient, T* moved_gradient, int threads);

  // Gradient of `total_variation`.
  void (*total_variation_backward)(Size, const T* flow, const double* gradient,
                                   T* flow_gradient, int threads);

  // Determinant of the Jacobian matrix of x + flow(x).
  void (*jacobian)(Size, const T* flow, T* determinant, int threads);
  void (*jacobian_backward)(Size, const T* flow, const T* gradient, T* flow_gradient,
                            int threads);

  // Gradients of `compose_affine`.
  void (*compose_affine_backward)(Size, const T* numbers, const T* inner, const T* gradient,
                                  T* number_gradient, T* inner_gradient, int threads);

  // Per item: sum over voxels of the squared correlation in cubes of `width` voxels.
  void (*local_correlation)(Size, const T* fixed, const T* moved, int64_t width, double floor,
                            double* sums, int threads);
  void (*local_correlation_backward)(Size, const T* fixed, const T* moved, int64_t width,
                                     double floor, const double* gradient, T* fixed_gradient,
                                     T* moved_gradient, int threads);

  // Mean and variance of an image in the cube around every voxel: two arrays.
  void (*cube_statistics)(Size, const T* image, int64_t width, T* statistics, int threads);

  // Squared correlation of the fixed image and the moving one at x + A x + b after `inner`, for
  // a batch of one; adds the gradient, times `scale`. `statistics` are those of the
  // fixed image; weights may be null; a null gradient is not wanted.
  void (*add_warped_correlation)(Size, const T* fixed, const T* statistics, const T* moving,
                                 const T* weights, const T* numbers, const T* inner,
                                 int64_t width, double floor, double scale, double* sum,
                                 T* gradient, int threads);

  // Weights of voxels: 1 where the fixed mask is above `least`, and the moving one at
  // x + A x + b after `inner`, else 0. A mask may be null. `cells` are 1 (0) at the first
  // voxel of 2^3 voxels of the moving mask that are all (none of them) above it.
  void (*mask_weights)(Size, const T* fixed, const T* moving, const T* cells, const T* numbers,
                       const T* inner, double least, T* weights, int threads);

  // The squared difference of features as above, channels last, by weights unless null.
  void (*add_warped_difference)(Size, const T* fixed, const T* moving, const T* weights,
                                const T* numbers, const T* inner, int64_t channels,
                                double scale, double* sum, T* gradient, int threads);

  // Per item: histogram of `bins` times `bins` cells, fixed before moved.
  void (*joint_histogram)(Size, const T* fixed, const T* moved, const T* counts, int64_t bins,
                          T* histograms, int threads);
  void (*joint_histogram_backward)(Size, const T* fixed, const T* moved, const T* counts,
                                   const T* gradient, int64_t bins, T* fixed_gradient,
                                   T* moved_gradient, T* count_gradient, int threads);

  // Interpolates control points, which span the grid.
  void (*spread)(Size, Size points, const T* control, T* result, int threads);
  void (*spread_backward)(Size, Size points, const T* gradient, T* control_gradient,
                          int threads);

  // Over the batch: sum of the squared forward differences of a flow, and of what the Jacobian
  // determinant of x + flow(x) lacks to `least`. Adds the gradient, times `scale`.
  void (*add_variation)(Size, const T* flow, double scale, double* sum, T* gradient,
                        int threads);
  void (*add_folding)(Size, const T* flow, double least, double scale, double* sum, T* gradient,
                      int threads);

  // Per item: sum of the squared forward differences of a flow.
  void (*total_variation)(Size, const T* flow, double* sums, int threads);

  // S(a) = sum over b of exp(-sharpness |x(a) - x(b)|), for the points x (dimensions,
  // count).
  void (*kernel_sums)(PointsSize, const T* points, double sharpness, T* sums, int threads);
  void (*kernel_sums_backward)(PointsSize, const T* points, double sharpness, const T* gradient,
                               T* point_gradient, int threads);
};

struct ExactSet {
  ExactKernels<float> float32;
  ExactKernels<double> float64;
  LayerKernels<Bfloat16> bfloat16;
};

// A convolution of stride 1 of arrays with channels last, by minimal filtering (see
// winograd.h).
struct Convolution {
  Size size;        // of the inputs
  int64_t columns;  // channels of the result
  int points, taps, padding;
  const float* weights;  // (panel, points^3, channels, columns of a panel)
};

// The gradient of the weights of a convolution of arrays with channels last.
struct WeightGradient {
  Size size, result_size;
  int taps, stride, padding;
  const float* x;
  const float* gradient;  // of the result
};

// Null in a set without vectors. Leaky ReLU makes a number the larger of itself and
// `leak` times itself.
struct WinogradKernels {
  int64_t (*panel)(int64_t columns) = nullptr;
  // Bias and leaky ReLU; the bias may be null.
  void (*convolve)(const Convolution& layer, const float* x, const float* bias, float leak,
                   float* result, int threads) = nullptr;
  // Convolves to phases and joins them, as LayerKernels does.
  void (*join)(const Convolution& layer, const float* x, int64_t skips, const float* skip,
               const float* prediction, float leak, float* joined, int threads) = nullptr;
  // Convolves to the phases of at most 3 channels and interleaves them, times `scale`.
  void (*flow)(const Convolution& layer, const float* x, float scale, float* flow,
               int threads) = nullptr;
  // To (channels of the result, channels of the inputs, taps^3).
  void (*weight_gradient)(const WeightGradient& layer, float* result, int threads) = nullptr;
};

struct InstructionSet {
  const char* name;
  const ExactSet& (*exact)();
  WinogradKernels winograd;
};

const InstructionSet& plain();
#ifdef VOLTWEEN_X86
const InstructionSet& avx2();
const InstructionSet& avx512();
#endif

namespace exact {

const ExactSet& plain();
#ifdef VOLTWEEN_X86
const ExactSet& avx2();
const ExactSet& avx512();
#endif

}  // namespace exact

}  // namespace voltween
