// The kernels for one instruction set, except the exact ones. This file is compiled once per
// instruction set: VOLTWEEN_SET names the function, and the compiler's options choose the
// instructions. Everything included has internal linkage, so that the linker cannot replace the
// code for one set by that for another.
#include "kernels.h"

#include "affine.h"
#include "entropy.h"
#include "flow.h"
#include "histogram.h"
#include "interleave.h"
#include "local_correlation.h"
#include "regularity.h"
#include "spreading.h"
#include "warped_correlation.h"
#include "warped_features.h"
#include "winograd.h"
#include "winograd_gradient.h"

#define VOLTWEEN_TEXT(name) #name
#define VOLTWEEN_NAME(name) VOLTWEEN_TEXT(name)

namespace {

template <class T>
constexpr voltween::LayerKernels<T> layer_kernels() {
  return {.join = join<T>, .join_backward = join_backward<T>};
}

template <class T>
constexpr voltween::Kernels<T> kernels() {
  return {
      .layers = layer_kernels<T>(),
      .compose_affine_backward = compose_affine_backward<T>,
      .local_correlation = local_correlation<T>,
      .local_correlation_backward = local_correlation_backward<T>,
      .cube_statistics = cube_statistics<T>,
      .add_warped_correlation = add_warped_correlation<T>,
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

constexpr voltween::WinogradKernels winograd_kernels() {
#ifdef VOLTWEEN_VECTORS
  return {
      .panel = winograd_panel,
      .convolve = winograd,
      .join = winograd_join,
      .flow = winograd_flow,
      .weight_gradient = weight_gradient,
  };
#else
  return {};
#endif
}

}  // namespace

namespace voltween {

const InstructionSet& VOLTWEEN_SET() {
  static constexpr InstructionSet set{
      .name = VOLTWEEN_NAME(VOLTWEEN_SET),
      .exact = exact::VOLTWEEN_SET,
      .float32 = kernels<float>(),
      .float64 = kernels<double>(),
      .bfloat16 = layer_kernels<Bfloat16>(),
      .winograd = winograd_kernels(),
  };
  return set;
}

}  // namespace voltween
