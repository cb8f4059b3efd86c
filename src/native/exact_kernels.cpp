// The exact kernels for one instruction set: all but Winograd's. Compiled as kernels.cpp is,
// but without contraction, the rounding of a product together with a sum: only some
// processors can.
#include "affine.h"
#include "entropy.h"
#include "flow.h"
#include "histogram.h"
#include "interleave.h"
#include "kernels.h"
#include "local_correlation.h"
#include "masking.h"
#include "moments.h"
#include "regularity.h"
#include "spreading.h"
#include "warp.h"
#include "warped_correlation.h"
#include "warped_features.h"

namespace {

template <class T>
constexpr voltween::LayerKernels<T> layer_kernels() {
  return {.join = join<T>, .join_backward = join_backward<T>};
}

template <class T>
constexpr voltween::ExactKernels<T> exact_kernels() {
  return {
      .layers = layer_kernels<T>(),
      .interleave = interleave<T>,
      .interleave_backward = interleave_backward<T>,
      .warp = warp<T>,
      .warp_backward = warp_backward<T>,
      .compose_affine = compose_affine<T>,
      .moments = moments<T>,
      .moments_backward = moments_backward<T>,
      .total_variation_backward = total_variation_backward<T>,
      .jacobian = jacobian<T>,
      .jacobian_backward = jacobian_backward<T>,
      .compose_affine_backward = compose_affine_backward<T>,
      .local_correlation = local_correlation<T>,
      .local_correlation_backward = local_correlation_backward<T>,
      .cube_statistics = cube_statistics<T>,
      .add_warped_correlation = add_warped_correlation<T>,
      .mask_weights = mask_weights<T>,
      .add_warped_difference = add_warped_difference<T>,
      .joint_histogram = joint_histogram<T>,
      .joint_histogram_backward = joint_histogram_backward<T>,
      .spread = spread<T>,
      .spread_backward = spread_backward<T>,
      .add_variation = add_variation<T>,
      .add_folding = add_folding<T>,
      .total_variation = total_variation<T>,
      .kernel_sums = kernel_sums<T>,
      .kernel_sums_backward = kernel_sums_backward<T>,
  };
}

}  // namespace

namespace voltween::exact {

const ExactSet& VOLTWEEN_SET() {
  static constexpr ExactSet set{
      .float32 = exact_kernels<float>(),
      .float64 = exact_kernels<double>(),
      .bfloat16 = layer_kernels<voltween::Bfloat16>(),
  };
  return set;
}

}  // namespace voltween::exact
