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

// Squared difference of the features at one voxel, and its slopes along i, j and k.
template <class T>
struct Difference {
  T square, slopes[3];
};

template <class T>
inline Difference<T> compare(const T* fixed, const T* corner, const Steps& steps,
                             int64_t channels, const T* weight) {
  const T wi = weight[0], wj = weight[1], wk = weight[2];
  const int64_t k = steps.k * channels, j = steps.j * channels, i = steps.i * channels;
  T squares[kChannels] = {}, by_i[kChannels] = {}, by_j[kChannels] = {}, by_k[kChannels] = {};
  for (int64_t first = 0; first < channels; first += kChannels) {
    const T *f = fixed + first, *m = corner + first;
#pragma omp simd
    for (int64_t c = 0; c < kChannels; ++c) {
      const T k00 = m[c + k] - m[c], k01 = m[c + j + k] - m[c + j];
      const T k10 = m[c + i + k] - m[c + i], k11 = m[c + i + j + k] - m[c + i + j];
      const T v00 = m[c] + wk * k00, v01 = m[c + j] + wk * k01;
      const T v10 = m[c + i] + wk * k10, v11 = m[c + i + j] + wk * k11;
      const T low = v00 + wj * (v01 - v00), high = v10 + wj * (v11 - v10);
      const T low_k = k00 + wj * (k01 - k00), high_k = k10 + wj * (k11 - k10);
      const T difference = low + wi * (high - low) - f[c];
      squares[c] += difference * difference;
      by_i[c] += difference * (high - low);
      by_j[c] += difference * ((v01 - v00) + wi * ((v11 - v10) - (v01 - v00)));
      by_k[c] += difference * (low_k + wi * (high_k - low_k));
    }
  }
  // Halves are added to halves, so that vectors stay vectors.
  for (int64_t half = kChannels / 2; half > 0; half /= 2)
    for (int64_t c = 0; c < half; ++c) {
      squares[c] += squares[c + half];
      by_i[c] += by_i[c + half];
      by_j[c] += by_j[c + half];
      by_k[c] += by_k[c + half];
    }
  return {squares[0], {2 * by_i[0], 2 * by_j[0], 2 * by_k[0]}};
}

// One row: returns the weighted sum of squared differences, and adds its gradient.
template <class T>
double compare_row(const Features<T>& pair, int64_t i, int64_t j, T scale, T* gradient) {
  const Size& size = pair.size;
  const Steps steps(size);
  const int64_t voxels = voxels_of(size), channels = pair.channels;
  const int64_t sides[3] = {size.i, size.j, size.k};
  Places<T> places;
  T flow[3][kBlock];
  double sum = 0;
  for (int64_t k = 0; k < size.k; k += kBlock) {
    const int64_t count = size.k - k < kBlock ? size.k - k : kBlock;
    fill_flow(size, pair.numbers, pair.inner, i, j, k, count, flow);
    locate_block(size, steps, flow, i, j, k, count, places);
    for (int64_t n = 0; n < count; ++n) {
      const int64_t at = (i * size.j + j) * size.k + k + n;
      const T influence = pair.weights == nullptr ? T(1) : pair.weights[at];
      if (influence == 0) continue;
      const T weight[3] = {places.weight[0][n], places.weight[1][n], places.weight[2][n]};
      const int64_t corner = places.offset[n];
      Difference<T> found = compare(pair.fixed + at * channels, pair.moving + corner * channels,
                                    steps, channels, weight);
      sum += influence * found.square;
      for (int64_t axis = 0; axis < 3; ++axis)
        found.slopes[axis] *= influence * scale *
                              slope(places.cell[axis][n], weight[axis],
                                    static_cast<T>(sides[axis] > 2 ? sides[axis] - 2 : 0));
      for (int64_t d = 0; d < 3; ++d) {
        const T* a = pair.numbers + d;
        gradient[d * voxels + at] += found.slopes[d] + a[0] * found.slopes[0] +
                                     a[3] * found.slopes[1] + a[6] * found.slopes[2];
      }
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
