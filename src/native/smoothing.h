// Convolution of a volume with a symmetric kernel per axis.
#pragma once

#include "buffer.h"
#include "parallel.h"
#include "space.h"

namespace {

constexpr int64_t kColumns = 1024;  // numbers of a row that are held in the cache

inline int64_t nearest(int64_t n, int64_t size) {
  return n < 0 ? 0 : (n < size ? n : size - 1);
}

// Convolves along an axis whose neighbors lie `step` numbers apart; writes `columns`
// numbers of `rows` results, which are adjacent.
inline void convolve_across(const float* from, float* to, int64_t size, int64_t step,
                            int64_t columns, const float* weights, int64_t radius) {
  for (int64_t n = 0; n < size; ++n) {
    const float* here = from + n * step;
    float* __restrict result = to + n * step;
    for (int64_t c = 0; c < columns; ++c) result[c] = weights[0] * here[c];
    for (int64_t m = 1; m <= radius; ++m) {
      const float* low = from + nearest(n - m, size) * step;
      const float* high = from + nearest(n + m, size) * step;
      const float weight = weights[m];
      for (int64_t c = 0; c < columns; ++c) result[c] += weight * (low[c] + high[c]);
    }
  }
}

// Convolves one row in place. `padded` has room for it and for `radius` numbers on both
// sides.
inline void convolve_row(float* row, int64_t size, const float* weights, int64_t radius,
                         float* padded) {
  for (int64_t n = 0; n < size + 2 * radius; ++n) padded[n] = row[nearest(n - radius, size)];
  for (int64_t n = 0; n < size; ++n) row[n] = weights[0] * padded[n + radius];
  for (int64_t m = 1; m <= radius; ++m)
    for (int64_t n = 0; n < size; ++n)
      row[n] += weights[m] * (padded[n + radius - m] + padded[n + radius + m]);
}

void smooth(voltween::space::Shape shape, const float* image, const float* const* weights,
            const int64_t* radii, float* result, int threads) {
  const int64_t plane = shape.j * shape.k;
  const int64_t blocks = (plane + kColumns - 1) / kColumns;
  parallel_for(blocks, threads, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin * kColumns; at < end * kColumns && at < plane; at += kColumns)
      convolve_across(image + at, result + at, shape.i, plane,
                      plane - at < kColumns ? plane - at : kColumns, weights[0], radii[0]);
  });
  parallel_for(shape.i, threads, [&](int64_t begin, int64_t end) {
    Buffer<float> copy(plane), padded(shape.k + 2 * radii[2]);
    for (int64_t i = begin; i < end; ++i) {
      float* here = result + i * plane;
      for (int64_t n = 0; n < plane; ++n) copy[n] = here[n];
      for (int64_t at = 0; at < shape.k; at += kColumns)
        convolve_across(copy.get() + at, here + at, shape.j, shape.k,
                        shape.k - at < kColumns ? shape.k - at : kColumns, weights[1],
                        radii[1]);
      for (int64_t j = 0; j < shape.j; ++j)
        convolve_row(here + j * shape.k, shape.k, weights[2], radii[2], padded.get());
    }
  });
}

}  // namespace
