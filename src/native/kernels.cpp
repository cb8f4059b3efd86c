// All kernels for one instruction set: compiled once for each, with VOLTWEEN_SET naming
// the function and the compiler's options choosing the instructions. Everything included
// has internal linkage, so that no copy can stand in for another.
#include "kernels.h"

#include "affine.h"
#include "entropy.h"
#include "flow.h"
#include "interleave.h"
#include "local_correlation.h"
#include "moments.h"
#include "warp.h"

#define VOLTWEEN_TEXT(name) #name
#define VOLTWEEN_NAME(name) VOLTWEEN_TEXT(name)

namespace {

template <class T>
constexpr voltween::Kernels<T> kernels() {
  return {{join<T>, join_backward<T>},
          interleave<T>,
          interleave_backward<T>,
          warp<T>,
          warp_backward<T>,
          compose_affine<T>,
          compose_affine_backward<T>,
          moments<T>,
          moments_backward<T>,
          local_correlation<T>,
          local_correlation_backward<T>,
          total_variation<T>,
          total_variation_backward<T>,
          jacobian<T>,
          jacobian_backward<T>,
          kernel_sums<T>,
          kernel_sums_backward<T>};
}

}  // namespace

namespace voltween {

const InstructionSet& VOLTWEEN_SET() {
  static constexpr InstructionSet set{VOLTWEEN_NAME(VOLTWEEN_SET),
                                      kernels<float>(),
                                      kernels<double>(),
                                      {join<Bfloat16>, join_backward<Bfloat16>}};
  return set;
}

}  // namespace voltween
