// Sums of outer products, which gradients of weights consist of: sums[r][c] +=
// left[n][r] * right[n][c] over all n. Sums of a few rows stay in registers meanwhile.
#pragma once

#include "vectors.h"
#include "winograd_product.h"

#ifdef VOLTWEEN_VECTORS

namespace {

// Numbers of `depth` outer products, `left_step` and `right_step` apart.
struct OuterProducts {
  const float* left;
  int64_t left_step;
  const float* right;  // whole vectors of columns
  int64_t right_step;
  int64_t depth;
};

// Adds those of `rows` rows and of as many vectors of columns; a row of the sums has
// vectors * width numbers.
template <int rows, int vectors>
inline void add_rows(const OuterProducts& products, int64_t row, float* __restrict sums) {
  constexpr int width = Vector::width;
  Vector all[rows][vectors];
  VOLTWEEN_UNROLL
  for (int r = 0; r < rows; ++r) VOLTWEEN_UNROLL
  for (int v = 0; v < vectors; ++v) all[r][v] = load(sums + (r * vectors + v) * width);
  const float* __restrict left = products.left + row;
  const float* __restrict right = products.right;
  for (int64_t n = 0; n < products.depth; ++n) {
    Vector column[vectors];
    VOLTWEEN_UNROLL
    for (int v = 0; v < vectors; ++v) column[v] = load(right + v * width);
    VOLTWEEN_UNROLL
    for (int r = 0; r < rows; ++r) {
      const Vector number = broadcast(left[r]);
      VOLTWEEN_UNROLL
      for (int v = 0; v < vectors; ++v) all[r][v] = multiply_add(number, column[v], all[r][v]);
    }
    left += products.left_step;
    right += products.right_step;
  }
  VOLTWEEN_UNROLL
  for (int r = 0; r < rows; ++r) VOLTWEEN_UNROLL
  for (int v = 0; v < vectors; ++v) store(all[r][v], sums + (r * vectors + v) * width);
}

// The remaining rows, `rows` or fewer.
template <int rows, int vectors>
inline void add_rest(int64_t count, const OuterProducts& products, int64_t row, float* sums) {
  if constexpr (rows > 0) {
    if (count == rows)
      add_rows<rows, vectors>(products, row, sums);
    else
      add_rest<rows - 1, vectors>(count, products, row, sums);
  }
}

template <int vectors>
inline void add_products(int64_t count, const OuterProducts& products, float* sums) {
  constexpr int rows = product_rows(vectors), step = vectors * Vector::width;
  int64_t row = 0;
  for (; row + rows <= count; row += rows)
    add_rows<rows, vectors>(products, row, sums + row * step);
  add_rest<rows - 1, vectors>(count - row, products, row, sums + row * step);
}

// Adds the products of `count` rows and so many vectors of columns, 1 to 3.
inline void add_outer_products(int64_t count, int64_t vectors, const OuterProducts& products,
                               float* sums) {
  if (vectors == 1)
    add_products<1>(count, products, sums);
  else if (vectors == 2)
    add_products<2>(count, products, sums);
  else
    add_products<3>(count, products, sums);
}

}  // namespace

#endif
