// Mean squared difference of features and warped features: value, and gradient with respect
// to the flow, in one call. Features come with channels last: the channels of a voxel are
// vectors that need no gathering.
#pragma once

#include "buffer.h"
#include "parallel.h"
#include "positions.h"
#include "size.h"
#include "warp.h"

namespace {

using voltween::Size;

constexpr int64_t kChannels = 16;  // handled at once; further ones are zeros

// What is compared: features (i, j, k, channels), with `channels` a multiple of kChannels.
template <class T>
struct Features {
  Size size;
  const T *fixed, *moving, *weights, *numbers, *inner;
  int64_t channels;
};

constexpr int64_t kHalf = kChannels / 2;
constexpr int64_t kTogether = 16;  // voxels whose sums over channels are taken together
constexpr int64_t kCorners = 8;    // of the cell in which the moving features are read

// Sums over the channels of some voxels: of the squared difference, and of
// the difference times the features at every corner. The slopes follow from the latter.
template <class T>
struct Sums {
  T squares[kTogether], corners[kCorners][kTogether];
};

// Numbers from the first corner of a cell to every other one, i before j before k.
inline void fill_steps(const Steps& steps, int64_t channels, int64_t* to_corner) {
  for (int64_t n = 0; n < kCorners; ++n)
    to_corner[n] = channels * ((n / 4) * steps.i + (n / 2 % 2) * steps.j + (n % 2) * steps.k);
}

// Adds the parts of voxel n for kChannels channels; sets them if these are the first.
// `weights` are those of the corners.
template <bool is_first, class T>
inline void compare(const T* __restrict f, const T* __restrict m, const int64_t* to_corner,
                    const T* weights, int64_t n, Sums<T>& sums) {
  T difference[kChannels];
  const T *m1 = m + to_corner[1], *m2 = m + to_corner[2], *m3 = m + to_corner[3],
          *m4 = m + to_corner[4], *m5 = m + to_corner[5], *m6 = m + to_corner[6],
          *m7 = m + to_corner[7];
  const T w0 = weights[0], w1 = weights[1], w2 = weights[2], w3 = weights[3], w4 = weights[4],
          w5 = weights[5], w6 = weights[6], w7 = weights[7];
#pragma omp simd
  for (int64_t c = 0; c < kChannels; ++c)
    difference[c] = (((w0 * m[c] + w1 * m1[c]) + (w2 * m2[c] + w3 * m3[c])) +
                     ((w4 * m4[c] + w5 * m5[c]) + (w6 * m6[c] + w7 * m7[c]))) -
                    f[c];
  const auto add = [&](const T* values, T& sum) {
    T parts[kHalf];
#pragma omp simd
    for (int64_t c = 0; c < kHalf; ++c)
      parts[c] = difference[c] * values[c] + difference[c + kHalf] * values[c + kHalf];
    // Halves are added to halves, so that vectors stay vectors.
    for (int64_t half = kHalf / 2; half > 0; half /= 2)
      for (int64_t c = 0; c < half; ++c) parts[c] += parts[c + half];
    sum = is_first ? parts[0] : sum + parts[0];
  };
  add(difference, sums.squares[n]);
  add(m, sums.corners[0][n]);
  add(m1, sums.corners[1][n]);
  add(m2, sums.corners[2][n]);
  add(m3, sums.corners[3][n]);
  add(m4, sums.corners[4][n]);
  add(m5, sums.corners[5][n]);
  add(m6, sums.corners[6][n]);
  add(m7, sums.corners[7][n]);
}

template <class T>
inline void clear(Sums<T>& sums, int64_t n) {
  sums.squares[n] = 0;
  for (int64_t corner = 0; corner < kCorners; ++corner) sums.corners[corner][n] = 0;
}

// Half the slopes of the squared difference along i, j and k, from the sums at the corners.
template <class T>
inline void fill_slopes(const T (*at)[kTogether], const Places<T>& places, int64_t first,
                        int64_t count, T (*__restrict slopes)[kTogether]) {
  for (int64_t n = 0; n < count; ++n) {
    const T wi = places.weight[0][first + n], wj = places.weight[1][first + n],
            wk = places.weight[2][first + n];
    const T v00 = between(at[0][n], at[1][n], wk), v01 = between(at[2][n], at[3][n], wk);
    const T v10 = between(at[4][n], at[5][n], wk), v11 = between(at[6][n], at[7][n], wk);
    slopes[0][n] = between(v10 - v00, v11 - v01, wj);
    slopes[1][n] = between(v01 - v00, v11 - v10, wi);
    slopes[2][n] = between(between(at[1][n] - at[0][n], at[3][n] - at[2][n], wj),
                           between(at[5][n] - at[4][n], at[7][n] - at[6][n], wj), wi);
  }
}

// Up to kTogether voxels of a row, from `at` on (in their block from `first` on): returns
// the weighted sum of squared differences, and adds its gradient.
template <class T>
inline double compare_voxels(const Features<T>& pair, const Places<T>& places, int64_t at,
                             int64_t first, int64_t count, T scale, T* gradient) {
  const Size& size = pair.size;
  int64_t to_corner[kCorners];
  fill_steps(Steps(size), pair.channels, to_corner);
  Sums<T> sums;
  T slopes[3][kTogether];
  T influence[kTogether], weights[kTogether][kCorners];
  for (int64_t n = 0; n < count; ++n) {
    influence[n] = pair.weights == nullptr ? T(1) : pair.weights[at + n];
    const T wi = places.weight[0][first + n], wj = places.weight[1][first + n],
            wk = places.weight[2][first + n];
    for (int64_t corner = 0; corner < kCorners; ++corner)
      weights[n][corner] = (corner / 4 ? wi : 1 - wi) * (corner / 2 % 2 ? wj : 1 - wj) *
                           (corner % 2 ? wk : 1 - wk);
  }
  for (int64_t n = 0; n < count; ++n) {
    if (influence[n] == 0) {
      clear(sums, n);
      continue;
    }
    const T* f = pair.fixed + (at + n) * pair.channels;
    const T* m = pair.moving + places.offset[first + n] * pair.channels;
    compare<true>(f, m, to_corner, weights[n], n, sums);
    for (int64_t c = kChannels; c < pair.channels; c += kChannels)
      compare<false>(f + c, m + c, to_corner, weights[n], n, sums);
  }
  fill_slopes(sums.corners, places, first, count, slopes);
  const int64_t sides[3] = {size.i, size.j, size.k};
  for (int64_t axis = 0; axis < 3; ++axis) {
    const T largest = static_cast<T>(sides[axis] > 2 ? sides[axis] - 2 : 0);
    for (int64_t n = 0; n < count; ++n)
      slopes[axis][n] *=
          2 * influence[n] * scale *
          slope(places.cell[axis][first + n], places.weight[axis][first + n], largest);
  }
  for (int64_t d = 0; d < 3; ++d) {
    const T a0 = pair.numbers[d], a1 = pair.numbers[3 + d], a2 = pair.numbers[6 + d];
    T* __restrict to = gradient + d * voxels_of(size) + at;
    for (int64_t n = 0; n < count; ++n)
      to[n] += slopes[d][n] + a0 * slopes[0][n] + a1 * slopes[1][n] + a2 * slopes[2][n];
  }
  double sum = 0;
  for (int64_t n = 0; n < count; ++n)
    if (influence[n] != 0) sum += influence[n] * sums.squares[n];
  return sum;
}

// One row: returns the weighted sum of squared differences, and adds its gradient.
template <class T>
double compare_row(const Features<T>& pair, int64_t i, int64_t j, T scale, T* gradient) {
  const Size& size = pair.size;
  const Steps steps(size);
  Places<T> places;
  T flow[3][kBlock];
  double sum = 0;
  for (int64_t k = 0; k < size.k; k += kBlock) {
    const int64_t count = size.k - k < kBlock ? size.k - k : kBlock;
    fill_flow(size, pair.numbers, pair.inner, i, j, k, count, flow);
    locate_block(size, steps, flow, i, j, k, count, places);
    const int64_t row = (i * size.j + j) * size.k + k;
    for (int64_t n = 0; n < count; n += kTogether) {
      const int64_t voxels = count - n < kTogether ? count - n : kTogether;
      sum += compare_voxels(pair, places, row + n, n, voxels, scale, gradient);
    }
  }
  return sum;
}

// Sum over voxels and channels of the squared difference of the fixed features and the
// moving ones at x + flow(x), where the flow is the affine one after `inner`. A voxel counts
// by its weight. Adds the gradient with respect to `inner`, times `scale`.
template <class T>
void add_warped_difference(Size size, const T* fixed, const T* moving, const T* weights,
                           const T* numbers, const T* inner, int64_t channels, double scale,
                           double* sum, T* gradient, int threads) {
  const Features<T> pair{size, fixed, moving, weights, numbers, inner, channels};
  const int64_t rows = size.i * size.j;
  Buffer<double> row_sums(rows);
  parallel_for(rows, threads, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      row_sums[row] =
          compare_row(pair, row / size.j, row % size.j, static_cast<T>(scale), gradient);
  });
  *sum = 0;
  for (int64_t row = 0; row < rows; ++row) *sum += row_sums[row];
}

}  // namespace
