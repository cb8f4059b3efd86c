// Joint histograms of two images. A voxel is shared between its two nearest bins of either
// image, so that the histogram has a gradient.
#pragma once

#include "buffer.h"
#include "parallel.h"
#include "size.h"

namespace {

using voltween::Size;

// The lower of the two nearest bins, and the share of the upper one. Values outside 0 to 1
// count as the nearer bound, where they have no slope.
template <class T>
struct Bin {
  int32_t low;
  T share;
  bool has_slope;
};

template <class T>
inline Bin<T> bin_of(T value, int64_t bins) {
  const T inside = value < 0 ? T(0) : value > 1 ? T(1) : value;
  const T position = inside * static_cast<T>(bins - 1), last = static_cast<T>(bins - 2);
  // Also safe where the value is not a number; then so is the share.
  const int32_t low =
      position > 0 ? static_cast<int32_t>(position < last ? position : last) : 0;
  return {low, position - static_cast<T>(low), value >= 0 && value <= 1};
}

// Calls body(b, piece, first, last) for pieces of the voxels of each item. Their number is
// fixed: the result does not depend on the number of threads.
constexpr int64_t kHistogramPieces = 8;

template <class Body>
void for_histogram_pieces(const Size& size, int threads, const Body& body) {
  const int64_t voxels = voxels_of(size);
  parallel_for(size.batch * kHistogramPieces, threads, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const int64_t piece = n % kHistogramPieces;
      body(n / kHistogramPieces, n, voxels * piece / kHistogramPieces,
           voxels * (piece + 1) / kHistogramPieces);
    }
  });
}

// histograms (batch, bins, bins), fixed before moved: sums of `counts`.
template <class T>
void joint_histogram(Size size, const T* fixed, const T* moved, const T* counts, int64_t bins,
                     T* histograms, int threads) {
  const int64_t voxels = voxels_of(size), cells = bins * bins;
  Buffer<double> sums(size.batch * kHistogramPieces * cells);
  sums.fill(size.batch * kHistogramPieces * cells, 0);
  for_histogram_pieces(size, threads, [&](int64_t b, int64_t n, int64_t first, int64_t last) {
    double* sum = sums.get() + n * cells;
    for (int64_t at = b * voxels + first; at < b * voxels + last; ++at) {
      if (counts[at] == 0) continue;
      const Bin<T> f = bin_of(fixed[at], bins), m = bin_of(moved[at], bins);
      double* cell = sum + f.low * bins + m.low;
      const T low = counts[at] * (1 - f.share), high = counts[at] * f.share;
      cell[0] += low * (1 - m.share);
      cell[1] += low * m.share;
      cell[bins] += high * (1 - m.share);
      cell[bins + 1] += high * m.share;
    }
  });
  for (int64_t b = 0; b < size.batch; ++b)
    for (int64_t cell = 0; cell < cells; ++cell) {
      double sum = 0;
      for (int64_t piece = 0; piece < kHistogramPieces; ++piece)
        sum += sums[(b * kHistogramPieces + piece) * cells + cell];
      histograms[b * cells + cell] = static_cast<T>(sum);
    }
}

// Gradients of `joint_histogram`; null where not wanted.
template <class T>
void joint_histogram_backward(Size size, const T* fixed, const T* moved, const T* counts,
                              const T* gradient, int64_t bins, T* fixed_gradient,
                              T* moved_gradient, T* count_gradient, int threads) {
  const int64_t voxels = voxels_of(size);
  for_histogram_pieces(size, threads, [&](int64_t b, int64_t, int64_t first, int64_t last) {
    for (int64_t at = b * voxels + first; at < b * voxels + last; ++at) {
      const Bin<T> f = bin_of(fixed[at], bins), m = bin_of(moved[at], bins);
      const T* cell = gradient + (b * bins + f.low) * bins + m.low;
      const T by_low = cell[0] + m.share * (cell[1] - cell[0]);
      const T by_high = cell[bins] + m.share * (cell[bins + 1] - cell[bins]);
      const T slope = counts[at] * static_cast<T>(bins - 1);
      if (fixed_gradient != nullptr)
        fixed_gradient[at] = f.has_slope ? slope * (by_high - by_low) : T(0);
      if (moved_gradient != nullptr) {
        const T low = cell[1] - cell[0], high = cell[bins + 1] - cell[bins];
        moved_gradient[at] = m.has_slope ? slope * (low + f.share * (high - low)) : T(0);
      }
      if (count_gradient != nullptr) count_gradient[at] = by_low + f.share * (by_high - by_low);
    }
  });
}

}  // namespace
