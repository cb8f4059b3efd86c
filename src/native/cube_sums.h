// Sums of an image's moments over the cubes around the voxels, row by row.
#pragma once

#include "buffer.h"
#include "local_correlation.h"
#include "parallel.h"
#include "size.h"

namespace {

using voltween::Size;

// Fields whose sums over cubes are needed: of the images (those of the first three alone
// where they are not weighted), and of the derivative.
constexpr int64_t kUnweighted = 3;  // m, m m, f m
constexpr int64_t kWeighted = 6;    // w m, w m m, w f m, w, w f, w f f
constexpr int64_t kChanges = 3;

constexpr int64_t kLane = 16;  // voxels that are summed at once

// Fills `fields`, which lie `stride` apart, with the moments of voxels k .. k + count - 1 of a
// row, summed over the planes of a cube. The addresses are those of the row in each plane.
template <class T, bool is_weighted>
inline void sum_moments(const T* const* f, const T* const* m, const T* const* weights,
                        int64_t planes, int64_t k, int64_t count, T* __restrict fields,
                        int64_t stride) {
  T sums[kWeighted][kLane] = {};
  for (int64_t p = 0; p < planes; ++p) {
    const T *of_f = f[p] + k, *of_m = m[p] + k, *of_w = is_weighted ? weights[p] + k : nullptr;
#pragma omp simd
    for (int64_t n = 0; n < count; ++n) {
      if constexpr (!is_weighted) {
        sums[0][n] += of_m[n];
        sums[1][n] += of_m[n] * of_m[n];
        sums[2][n] += of_f[n] * of_m[n];
      } else {
        // The content of a voxel of weight 0 does not matter, even if it is not a number.
        const T w = of_w[n], value_f = w == 0 ? T(0) : of_f[n],
                value_m = w == 0 ? T(0) : of_m[n];
        const T wf = w * value_f, wm = w * value_m;
        sums[0][n] += wm;
        sums[1][n] += wm * value_m;
        sums[2][n] += wf * value_m;
        sums[3][n] += w;
        sums[4][n] += wf;
        sums[5][n] += wf * value_f;
      }
    }
  }
  for (int64_t field = 0; field < (is_weighted ? kWeighted : kUnweighted); ++field)
    for (int64_t n = 0; n < count; ++n) fields[field * stride + n] = sums[field][n];
}

// The same for a whole row.
template <class T, bool is_weighted>
inline void sum_row_moments(const T* const* f, const T* const* m, const T* const* weights,
                            int64_t planes, int64_t count, T* fields, int64_t stride) {
  int64_t k = 0;
  for (; k + kLane <= count; k += kLane)
    sum_moments<T, is_weighted>(f, m, weights, planes, k, kLane, fields + k, stride);
  if (k < count)
    sum_moments<T, is_weighted>(f, m, weights, planes, k, count - k, fields + k, stride);
}

// Sums of several fields over cubes, for the rows of one plane in their order. `fill` writes a
// row's values, summed along i.
template <class T>
class RowSums {
 public:
  RowSums(const Size& size, int64_t fields, int64_t width)
      : size_(size),
        fields_(fields),
        width_(width),
        padded_(size.k + width - 1),
        filled_(fields * padded_),
        rows_(width * fields * size.k),
        sums_(fields * size.k) {
    filled_.fill(fields * padded_, 0);  // also beyond the ends of a row
  }

  template <class Fill, class Take>
  void run(int64_t first, int64_t last, const Fill& fill, const Take& take) {
    const int64_t radius = width_ / 2, row = fields_ * size_.k;
    for (int64_t enters = first - radius; enters < last + radius; ++enters) {
      if (enters >= 0 && enters < size_.j) sum_row(enters, fill);
      const int64_t j = enters - radius;
      if (j < first) continue;
      const int64_t low = j > radius ? j - radius : 0;
      const int64_t high = enters < size_.j - 1 ? enters : size_.j - 1;
      T* __restrict sums = sums_.get();
      for (int64_t n = 0; n < row; ++n) sums[n] = 0;
      for (int64_t from = low; from <= high; ++from) {
        const T* __restrict values = rows_.get() + from % width_ * row;
        for (int64_t n = 0; n < row; ++n) sums[n] += values[n];
      }
      take(j, sums);
    }
  }

 private:
  template <class Fill>
  void sum_row(int64_t j, const Fill& fill) {
    fill(j, filled_.get() + width_ / 2, padded_);
    for (int64_t field = 0; field < fields_; ++field) {
      const T* __restrict values = filled_.get() + field * padded_;
      T* __restrict sums = rows_.get() + (j % width_ * fields_ + field) * size_.k;
      for (int64_t k = 0; k < size_.k; ++k) sums[k] = values[k];
      for (int64_t shift = 1; shift < width_; ++shift)
        for (int64_t k = 0; k < size_.k; ++k) sums[k] += values[k + shift];
    }
  }

  Size size_;
  int64_t fields_, width_, padded_;
  Buffer<T> filled_, rows_, sums_;
};

// First and last plane (or row) of a cube around `at`.
struct Span {
  int64_t first, last;
  Span(int64_t at, int64_t radius, int64_t voxels)
      : first(at > radius ? at - radius : 0),
        last(at + radius < voxels - 1 ? at + radius : voxels - 1) {}
};

// Mean and variance of an image in the cube around every voxel: two arrays.
template <class T>
void cube_statistics(Size size, const T* image, int64_t width, T* statistics, int threads) {
  const int64_t row = size.k, radius = width / 2;
  T *means = statistics, *variances = statistics + voxels_of(size);
  parallel_for(size.i, threads, [&](int64_t begin, int64_t end) {
    Buffer<double> shares(row);
    RowSums<T> sums(size, 2, width);
    for (int64_t i = begin; i < end; ++i) {
      const Span planes(i, radius, size.i);
      sums.run(
          0, size.j,
          [&](int64_t j, T* fields, int64_t stride) {
            for (int64_t k = 0; k < row; ++k) fields[k] = fields[k + stride] = 0;
            for (int64_t p = planes.first; p <= planes.last; ++p) {
              const T* __restrict from = image + (p * size.j + j) * row;
              for (int64_t k = 0; k < row; ++k) {
                fields[k] += from[k];
                fields[k + stride] += from[k] * from[k];
              }
            }
          },
          [&](int64_t j, const T* of_row) {
            fill_shares(size, i, j, radius, shares.get());
            const int64_t at = (i * size.j + j) * row;
            for (int64_t k = 0; k < row; ++k) {
              const T share = static_cast<T>(shares[k]), mean = of_row[k] * share;
              const T variance = of_row[k + row] * share - mean * mean;
              means[at + k] = mean;
              variances[at + k] = variance > 0 ? variance : T(0);
            }
          });
    }
  });
}

}  // namespace
