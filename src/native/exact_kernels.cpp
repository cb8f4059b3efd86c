// The exact kernels for one instruction set. Compiled as kernels.cpp is, but without
// contraction, the rounding of a product together with a sum: only some processors can.
#include "affine.h"
#include "flow.h"
#include "interleave.h"
#include "kernels.h"
#include "moments.h"
#include "warp.h"

namespace {

template <class T>
constexpr voltween::ExactKernels<T> exact_kernels() {
  return {
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
  };
}

}  // namespace

namespace voltween::exact {

const ExactSet& VOLTWEEN_SET() {
  static constexpr ExactSet set{
      .float32 = exact_kernels<float>(),
      .float64 = exact_kernels<double>(),
  };
  return set;
}

}  // namespace voltween::exact
