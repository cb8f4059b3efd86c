// The kernels of scanner space for one instruction set; see kernels.cpp.
#include "field_inversion.h"
#include "inversion.h"
#include "lengths.h"
#include "smoothing.h"
#include "space.h"
#include "spline_solving.h"
#include "volumes.h"

#define VOLTWEEN_TEXT(name) #name
#define VOLTWEEN_NAME(name) VOLTWEEN_TEXT(name)

namespace voltween::space {

const Kernels& VOLTWEEN_SET() {
  static constexpr Kernels kernels{
      .name = VOLTWEEN_NAME(VOLTWEEN_SET),
      .map = map,
      .invert = invert,
      .invert_field = invert_field,
      .solve_splines = solve_splines,
      .sample = sample,
      .pick = pick,
      .displacements = displacements,
      .lengths = lengths,
      .determinants = determinants,
      .smooth = smooth,
  };
  return kernels;
}

}  // namespace voltween::space
