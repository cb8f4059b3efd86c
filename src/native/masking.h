// Weights of the voxels that the masks of a pair hold.
#pragma once

#include "parallel.h"
#include "positions.h"
#include "size.h"
#include "warp.h"

namespace {

using voltween::Size;

// Interpolates the mask in the cell of voxel n of a block.
template <class T>
inline T read_mask(const T* mask, const Steps& steps, const Places<T>& places, int64_t n) {
  const T* at = mask + places.offset[n];
  const T wi = places.weight[0][n], wj = places.weight[1][n], wk = places.weight[2][n];
  const T v00 = between(at[0], at[steps.k], wk);
  const T v01 = between(at[steps.j], at[steps.j + steps.k], wk);
  const T v10 = between(at[steps.i], at[steps.i + steps.k], wk);
  const T v11 = between(at[steps.i + steps.j], at[steps.i + steps.j + steps.k], wk);
  return between(between(v00, v01, wj), between(v10, v11, wj), wi);
}

// One row of `mask_weights`, of the moving mask alone. Most cells lie within the mask or
// outside: only the others are interpolated.
template <class T>
inline void weigh_row(const Size& size, const T* moving, const T* cells, const T* numbers,
                      const T* inner, T least, int64_t row, T* __restrict weights) {
  const Steps steps(size);
  const int64_t i = row / size.j, j = row % size.j;
  Places<T> places;
  T flow[3][kBlock];
  for (int64_t k = 0; k < size.k; k += kBlock) {
    const int64_t count = size.k - k < kBlock ? size.k - k : kBlock;
    fill_flow(size, numbers, inner, i, j, k, count, flow);
    locate_block(size, steps, flow, i, j, k, count, places);
    for (int64_t n = 0; n < count; ++n) weights[k + n] = cells[places.offset[n]];
    for (int64_t n = 0; n < count; ++n)
      if (weights[k + n] != 0 && weights[k + n] != 1)
        weights[k + n] = read_mask(moving, steps, places, n) > least ? T(1) : T(0);
  }
}

// 1 where the fixed mask is above `least`, and the moving one at the position to which the
// affine flow after `inner` leads; else 0. A batch of one item; either mask may be null.
template <class T>
void mask_weights(Size size, const T* fixed, const T* moving, const T* cells, const T* numbers,
                  const T* inner, double least, T* weights, int threads) {
  const T above = static_cast<T>(least);
  parallel_for(size.i * size.j, threads, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      T* to = weights + row * size.k;
      if (moving == nullptr)
        for (int64_t k = 0; k < size.k; ++k) to[k] = 1;
      else
        weigh_row(size, moving, cells, numbers, inner, above, row, to);
      if (fixed == nullptr) continue;
      const T* mask = fixed + row * size.k;
      for (int64_t k = 0; k < size.k; ++k) to[k] = mask[k] > above ? to[k] : T(0);
    }
  });
}

}  // namespace
