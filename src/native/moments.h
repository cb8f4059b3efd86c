// Moments of a pair of images: sums over all voxels, in one pass and double precision.
#pragma once

#include "buffer.h"
#include "parallel.h"
#include "size.h"

namespace {

using voltween::Size;

constexpr int64_t kMoments = 5;  // f, m, f f, m m, f m
constexpr int64_t kLanes =
    8;  // independent sums: an addition does not wait for the one before it

// Adds the moments of `count` voxels to `sums`.
template <class T>
void add_moments(const T* fixed, const T* moved, int64_t count, double* sums) {
  double lanes[kMoments][kLanes] = {};
  int64_t n = 0;
  for (; n + kLanes <= count; n += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const double f = fixed[n + lane], m = moved[n + lane];
      lanes[0][lane] += f;
      lanes[1][lane] += m;
      lanes[2][lane] += f * f;
      lanes[3][lane] += m * m;
      lanes[4][lane] += f * m;
    }
  for (; n < count; ++n) {
    const double f = fixed[n], m = moved[n];
    const double terms[kMoments] = {f, m, f * f, m * m, f * m};
    for (int64_t t = 0; t < kMoments; ++t) lanes[t][0] += terms[t];
  }
  for (int64_t t = 0; t < kMoments; ++t)
    for (int64_t lane = 0; lane < kLanes; ++lane) sums[t] += lanes[t][lane];
}

// Sums of f, m, f f, m m and f m for each item. Pieces of fixed size are summed separately
// and then added in order, so the result does not depend on the number of threads.
template <class T>
void moments(Size size, const T* fixed, const T* moved, double* moments, int threads) {
  constexpr int64_t piece = 1 << 14;
  const int64_t voxels = size.channels * voxels_of(size);
  const int64_t pieces = (voxels + piece - 1) / piece;
  Buffer<double> sums(size.batch * pieces * kMoments);
  sums.fill(size.batch * pieces * kMoments, 0);
  parallel_for(size.batch * pieces, threads, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const int64_t start = n % pieces * piece;
      const int64_t count = voxels - start < piece ? voxels - start : piece;
      const int64_t at = n / pieces * voxels + start;
      add_moments(fixed + at, moved + at, count, sums.get() + n * kMoments);
    }
  });
  for (int64_t b = 0; b < size.batch; ++b)
    for (int64_t t = 0; t < kMoments; ++t) {
      double sum = 0;
      for (int64_t n = 0; n < pieces; ++n) sum += sums[(b * pieces + n) * kMoments + t];
      moments[b * kMoments + t] = sum;
    }
}

// Gradients of `moments` with respect to the images; null where not wanted.
template <class T>
void moments_backward(Size size, const T* fixed, const T* moved, const double* gradient,
                      T* fixed_gradient, T* moved_gradient, int threads) {
  const int64_t row = size.k, rows = size.channels * size.i * size.j;
  parallel_for(size.batch * rows, threads, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const double* g = gradient + r / rows * kMoments;
      for (int64_t n = r * row; n < (r + 1) * row; ++n) {
        const double f = fixed[n], m = moved[n];
        if (fixed_gradient != nullptr)
          fixed_gradient[n] = static_cast<T>(g[0] + 2 * g[2] * f + g[4] * m);
        if (moved_gradient != nullptr)
          moved_gradient[n] = static_cast<T>(g[1] + 2 * g[3] * m + g[4] * f);
      }
    }
  });
}

}  // namespace
