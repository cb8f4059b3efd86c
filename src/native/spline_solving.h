// Coefficients of cubic B-splines from their values at the voxels.
#pragma once

#include "buffer.h"
#include "parallel.h"
#include "space.h"

namespace {

using voltween::space::Shape;

constexpr int64_t kNumbersAcross = 512;  // that are solved at once, so that all fit a cache
constexpr double kMiddleWeight = 2.0 / 3, kSideWeight = 1.0 / 6;

// Factors of the elimination for `count` voxels along an axis.
inline void fill_factors(int64_t count, double* factors) {
  double factor = 0;
  for (int64_t n = 0; n < count; ++n) {
    factor = 1 / (kMiddleWeight - kSideWeight * kSideWeight * factor);
    factors[n] = factor;
  }
}

// Solves the systems of `width` neighboring numbers along an axis of `count` voxels:
// values there from coefficients have the weights 1/6, 2/3, 1/6, and there is no
// coefficient beyond the ends.
inline void solve_along(int64_t count, int64_t stride, int64_t width, const double* factors,
                        double* first) {
  for (int64_t at = 0; at < width; ++at) first[at] *= factors[0];
  for (int64_t n = 1; n < count; ++n) {
    double* here = first + n * stride;
    const double* before = here - stride;
    for (int64_t at = 0; at < width; ++at)
      here[at] = (here[at] - kSideWeight * before[at]) * factors[n];
  }
  for (int64_t n = count - 2; n >= 0; --n) {
    double* here = first + n * stride;
    const double* behind = here + stride;
    for (int64_t at = 0; at < width; ++at) here[at] -= kSideWeight * factors[n] * behind[at];
  }
}

// Solves `lines` systems that begin at neighboring numbers, in blocks.
inline void solve_blocks(int64_t count, int64_t stride, int64_t lines, const double* factors,
                         int64_t begin, int64_t end, double* first) {
  for (int64_t n = begin; n < end; ++n) {
    const int64_t at = n * kNumbersAcross, left = lines - at;
    solve_along(count, stride, left < kNumbersAcross ? left : kNumbersAcross, factors,
                first + at);
  }
}

void solve_splines(Shape shape, int64_t components, double* numbers, int threads) {
  const int64_t row = shape.k * components, plane = shape.j * row;
  const auto blocks = [](int64_t lines) {
    return (lines + kNumbersAcross - 1) / kNumbersAcross;
  };
  Buffer<double> along_i(shape.i), along_j(shape.j), along_k(shape.k);
  fill_factors(shape.i, along_i.get());
  fill_factors(shape.j, along_j.get());
  fill_factors(shape.k, along_k.get());
  parallel_for(shape.i, threads, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      double* first = numbers + i * plane;
      for (int64_t j = 0; j < shape.j; ++j)
        solve_along(shape.k, components, components, along_k.get(), first + j * row);
      solve_blocks(shape.j, row, row, along_j.get(), 0, blocks(row), first);
    }
  });
  parallel_for(blocks(plane), threads, [&](int64_t begin, int64_t end) {
    solve_blocks(shape.i, plane, plane, along_i.get(), begin, end, numbers);
  });
}

}  // namespace
