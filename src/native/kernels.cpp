// The kernels for one instruction set, except the exact ones. This file is compiled once per
// instruction set: VOLTWEEN_SET names the function, and the compiler's options choose the
// instructions. Everything included has internal linkage, so that the linker cannot replace the
// code for one set by that for another.
#include "kernels.h"

#include "winograd.h"
#include "winograd_gradient.h"

#define VOLTWEEN_TEXT(name) #name
#define VOLTWEEN_NAME(name) VOLTWEEN_TEXT(name)

namespace {

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
      .winograd = winograd_kernels(),
  };
  return set;
}

}  // namespace voltween
