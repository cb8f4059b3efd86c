// The parts in which gradients of weights are computed. A part takes some channels of the
// inputs and of the results and a share of the grid, so that its sums stay in a core's
// cache. Parts do not depend on the number of threads, so neither do the results.
#pragma once

#include "kernels.h"
#include "parallel.h"
#include "size.h"
#include "vectors.h"

#ifdef VOLTWEEN_VECTORS

namespace {

using voltween::Size;
using voltween::WeightGradient;

constexpr int64_t kParts = 24;                 // are enough to keep the threads busy
constexpr int64_t kPanel = 3 * Vector::width;  // most rows or columns of a part

constexpr int64_t cube(int64_t n) { return n * n * n; }
constexpr int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t whole_vectors(int64_t count) {
  return ceil_divide(count, Vector::width) * Vector::width;
}

struct Share {
  int64_t first, count;
};

// Rows or columns cut into panels of whole vectors.
struct Panels {
  int64_t numbers, vectors, count;

  explicit Panels(int64_t all)
      : numbers(all),
        vectors(ceil_divide(all, Vector::width)),
        count(ceil_divide(vectors * Vector::width, kPanel)) {}

  Share operator[](int64_t number) const {
    const int64_t first = vectors * number / count * Vector::width;
    const int64_t end = vectors * (number + 1) / count * Vector::width;
    return {first, (end < numbers ? end : numbers) - first};
  }
};

// Sums (share of the grid, tap, row, column) that the parts write; then their sum over the
// shares, in order, as gradient of the weights (output, input, tap).
struct GradientSums {
  int64_t shares, taps, rows, columns;
  bool has_input_columns;  // else the columns are outputs
  float* numbers;

  float* at(int64_t share, int64_t tap, int64_t row, int64_t column) const {
    return numbers + ((share * taps + tap) * rows + row) * columns + column;
  }

  void add_up(float* result, int threads) const {
    constexpr int width = Vector::width;
    const int64_t blocks = ceil_divide(columns, width);
    const int64_t row_step = has_input_columns ? columns * taps : taps;
    const int64_t column_step = has_input_columns ? taps : rows * taps;
    parallel_for(blocks * rows, threads, [&](int64_t begin, int64_t end) {
      float block[27 * width];
      for (int64_t n = begin; n < end; ++n) {
        const int64_t row = n % rows, column = n / rows * width;
        const int64_t count = columns - column < width ? columns - column : width;
        add_shares(row, column, first_lanes(count), block);
        float* to = result + row * row_step + column * column_step;
        for (int64_t c = 0; c < count; ++c)
          for (int64_t tap = 0; tap < taps; ++tap)
            to[c * column_step + tap] = block[tap * width + c];
      }
    });
  }

  void add_shares(int64_t row, int64_t column, Vector::Mask mask, float* block) const {
    for (int64_t tap = 0; tap < taps; ++tap) {
      Vector sum = load(at(0, tap, row, column), mask);
      for (int64_t share = 1; share < shares; ++share)
        sum = sum + load(at(share, tap, row, column), mask);
      store(sum, block + tap * Vector::width);
    }
  }
};

// Shares of `count` steps over the grid: as many as keep the threads busy, of `fewest` steps or
// more.
inline int64_t share_count(int64_t count, int64_t fewest, int64_t panels) {
  const int64_t most = ceil_divide(count, fewest), wanted = ceil_divide(kParts, panels);
  return wanted < most ? wanted : most;
}

}  // namespace

#endif
