// Sizes of the arrays that the kernels work on.
#pragma once

#include <cstdint>

namespace voltween {

// Of an array (batch, channels, i, j, k).
struct Size {
  int64_t batch, channels, i, j, k;
};

// Of an array (dimensions, count).
struct PointsSize {
  int64_t dimensions, count;
};

}  // namespace voltween

namespace {

// Not members of Size: those would be one function for all instruction sets.
inline int64_t plane_of(const voltween::Size& size) { return size.j * size.k; }
inline int64_t voxels_of(const voltween::Size& size) { return size.i * size.j * size.k; }

}  // namespace
