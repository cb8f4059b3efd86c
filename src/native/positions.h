// Positions, in blocks of a row, to which an affine flow after an inner one leads.
#pragma once

#include "size.h"
#include "warp.h"

namespace {

using voltween::Size;

// The flow A x + b after the inner flow, in a block of a row: three arrays. `numbers` are A
// row by row, then b.
template <class T>
inline void fill_flow(const Size& size, const T* numbers, const T* inner, int64_t i, int64_t j,
                      int64_t k, int64_t count, T (*flow)[kBlock]) {
  const T x = T(i) - T(size.i - 1) / 2, y = T(j) - T(size.j - 1) / 2;
  const T z = T(k) - T(size.k - 1) / 2;
  const T* __restrict u = inner + (i * size.j + j) * size.k + k;
  const T* __restrict v = u + voxels_of(size);
  const T* __restrict w = v + voxels_of(size);
  for (int64_t c = 0; c < 3; ++c) {
    const T *a = numbers + 3 * c, *own = c == 0 ? u : c == 1 ? v : w;
    const T a0 = a[0], a1 = a[1], a2 = a[2];
    const T offset = a0 * x + a1 * y + a2 * z + numbers[9 + c];
    for (int32_t n = 0; n < count; ++n)
      flow[c][n] = own[n] + (a0 * u[n] + a1 * v[n] + a2 * (w[n] + T(n)) + offset);
  }
}

template <class T>
inline void locate_block(const Size& size, const Steps& steps, const T (*flow)[kBlock],
                         int64_t i, int64_t j, int64_t k, int64_t count, Places<T>& places) {
  locate_axis(flow[0], T(i), T(0), count, size.i, places.cell[0], places.weight[0]);
  locate_axis(flow[1], T(j), T(0), count, size.j, places.cell[1], places.weight[1]);
  locate_axis(flow[2], T(k), T(1), count, size.k, places.cell[2], places.weight[2]);
  for (int64_t n = 0; n < count; ++n)
    places.offset[n] = static_cast<int32_t>(places.cell[0][n]) * steps.i +
                       static_cast<int32_t>(places.cell[1][n]) * steps.j +
                       static_cast<int32_t>(places.cell[2][n]);
}

}  // namespace
