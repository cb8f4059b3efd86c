// Sampling positions of a warp: cells of the grid and weights within them.
#pragma once

#include <cmath>

#include "size.h"

namespace {

using voltween::Size;

constexpr int64_t kBlock = 128;  // voxels of a row that are located at once
constexpr int64_t kPadded = 16;  // a block's arrays are read in groups of so many voxels

// Steps in memory to the next voxel along each axis; 0 along an axis of one voxel.
struct Steps {
  int32_t i, j, k;
  explicit Steps(const Size& size)
      : i(size.i > 1 ? static_cast<int32_t>(plane_of(size)) : 0),
        j(size.j > 1 ? static_cast<int32_t>(size.k) : 0),
        k(size.k > 1 ? 1 : 0) {}
};

// The sampling positions of a block of voxels: the first corner of the cell along each
// axis, the distance from it (0 to 1), and the offset of that corner in memory. Weights
// and offsets of the voxels behind the block, up to a whole group, are 0.
template <class T>
struct Places {
  T cell[3][kBlock];
  T weight[3][kBlock];
  int32_t offset[kBlock];
};

#if defined(VOLTWEEN_X86) && !defined(__AVX2__)
// The oldest processors have no instruction for it, and calls of the library are ten times
// as slow. Adding and subtracting 2^23 (2^52) rounds to a whole number. Larger numbers are
// whole.
template <class T>
inline T floor_of(T value) {
  const T shift = sizeof(T) == 4 ? T(1 << 23) : T(int64_t{1} << 52);
  const T size = std::fabs(value);
  const T near = std::copysign((size + shift) - shift, value);
  const T whole = near > value ? near - T(1) : near;
  return size < shift ? whole : value;
}
#else
template <class T>
inline T floor_of(T value) {
  return std::floor(value);
}
#endif

// Locates the positions start + step n + flow[n] along one axis. They are split into cell
// and weight without rounding.
template <class T>
inline void locate_axis(const T* __restrict flow, T start, T step, int64_t count,
                        int64_t voxels, T* __restrict cell, T* __restrict weight) {
  const T last = static_cast<T>(voxels - 2);
  const T largest_cell = voxels > 2 ? last : T(0);
  for (int32_t n = 0; n < count; ++n) {
    const T whole = floor_of(flow[n]);
    const T lower = whole + (start + step * static_cast<T>(n));
    T w = flow[n] - whole;
    w = lower < 0 ? T(0) : w;
    w = lower > last ? T(1) : w;
    weight[n] = w;
    T c = lower > 0 ? lower : T(0);  // also where it is not a number
    cell[n] = c < largest_cell ? c : largest_cell;
  }
}

template <class T>
inline void locate(const Size& size, const Steps& steps, const T* flow, int64_t i, int64_t j,
                   int64_t k, int64_t count, Places<T>& places) {
  const T* here = flow + (i * size.j + j) * size.k + k;
  const int64_t voxels = voxels_of(size);
  locate_axis(here, T(i), T(0), count, size.i, places.cell[0], places.weight[0]);
  locate_axis(here + voxels, T(j), T(0), count, size.j, places.cell[1], places.weight[1]);
  locate_axis(here + 2 * voxels, T(k), T(1), count, size.k, places.cell[2], places.weight[2]);
  for (int64_t n = 0; n < count; ++n)
    places.offset[n] = static_cast<int32_t>(places.cell[0][n]) * steps.i +
                       static_cast<int32_t>(places.cell[1][n]) * steps.j +
                       static_cast<int32_t>(places.cell[2][n]);
  for (int64_t n = count; n % kPadded != 0; ++n) {
    places.offset[n] = 0;
    for (int64_t axis = 0; axis < 3; ++axis) places.weight[axis][n] = 0;
  }
}

}  // namespace
