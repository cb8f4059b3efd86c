// A product of small matrices: [tiles x channels] x [channels x columns].
#pragma once

#include "vectors.h"

#ifdef VOLTWEEN_VECTORS

namespace {

// Rows whose sums stay in registers, for this number of vectors of columns.
constexpr int product_rows(int vectors) { return (Vector::width == 16 ? 24 : 12) / vectors; }

// Product of `rows` rows, `step` numbers apart; `columns` are vectors * width per channel.
template <int rows, int vectors>
inline void multiply_rows(const float* __restrict matrix, int64_t step,
                          const float* __restrict columns, int64_t channels,
                          float* __restrict products) {
  constexpr int width = Vector::width;
  Vector sums[rows][vectors];
  VOLTWEEN_UNROLL
  for (int r = 0; r < rows; ++r) VOLTWEEN_UNROLL
  for (int v = 0; v < vectors; ++v) sums[r][v] = zeros();
  for (int64_t c = 0; c < channels; ++c) {
    Vector column[vectors];
    VOLTWEEN_UNROLL
    for (int v = 0; v < vectors; ++v) column[v] = load(columns + v * width);
    VOLTWEEN_UNROLL
    for (int r = 0; r < rows; ++r) {
      const Vector number = broadcast(matrix[r * step + c]);
      VOLTWEEN_UNROLL
      for (int v = 0; v < vectors; ++v)
        sums[r][v] = multiply_add(number, column[v], sums[r][v]);
    }
    columns += vectors * width;
  }
  VOLTWEEN_UNROLL
  for (int r = 0; r < rows; ++r) VOLTWEEN_UNROLL
  for (int v = 0; v < vectors; ++v) store(sums[r][v], products + (r * vectors + v) * width);
}

// The remaining rows, `rows` or fewer.
template <int rows, int vectors>
inline void multiply_rest(int64_t count, const float* matrix, int64_t step,
                          const float* columns, int64_t channels, float* products) {
  if constexpr (rows > 0) {
    if (count == rows)
      multiply_rows<rows, vectors>(matrix, step, columns, channels, products);
    else
      multiply_rest<rows - 1, vectors>(count, matrix, step, columns, channels, products);
  }
}

template <int vectors>
inline void multiply(int64_t count, const float* matrix, int64_t step, const float* columns,
                     int64_t channels, float* products) {
  constexpr int rows = product_rows(vectors);
  int64_t row = 0;
  for (; row + rows <= count; row += rows)
    multiply_rows<rows, vectors>(matrix + row * step, step, columns, channels,
                                 products + row * vectors * Vector::width);
  multiply_rest<rows - 1, vectors>(count - row, matrix + row * step, step, columns, channels,
                                   products + row * vectors * Vector::width);
}

}  // namespace

#endif
