// Local correlation of an image with a warped one: value, and gradient with respect to the
// flow, in one call. The warped image and its slopes stay in the cache: they are computed
// slab by slab, as the sums over cubes need them.
//
// Sums over cubes are sums of `width` neighbors along i, then k, then j, each computed anew:
// a result does not depend on where a thread's part of the work begins.
#pragma once

#include "buffer.h"
#include "cube_sums.h"
#include "lanes.h"
#include "local_correlation.h"
#include "parallel.h"
#include "positions.h"
#include "size.h"
#include "warp.h"

namespace {

using voltween::Size;

constexpr int64_t kSlab = 2;  // planes

// What is compared. `statistics` are mean and variance of the fixed image in the cube around
// each voxel, without weights. `rows` are facts about the weights of every row (i, j); both
// are null where all voxels count.
enum class Row : unsigned char { empty, mixed, full };  // weights all 0, others, all 1

template <class T>
struct Compared {
  Size size;
  const T *fixed, *statistics, *moving, *weights, *numbers, *inner;
  int64_t width;
  T floor;
  const Row* rows;
};

template <class T>
inline Row row_of(const T* weights, int64_t count) {
  bool is_empty = true, is_full = true;
  for (int64_t k = 0; k < count; ++k) {
    is_empty = is_empty && weights[k] == 0;
    is_full = is_full && weights[k] == 1;
  }
  return is_empty ? Row::empty : is_full ? Row::full : Row::mixed;
}

// What a row of cubes' centers needs: nothing where these have no weight; where all cubes'
// voxels count, the sums without weights.
template <class T>
inline Row centers_of(const Compared<T>& pair, int64_t i, int64_t j) {
  if (pair.rows == nullptr) return Row::full;
  if (pair.rows[i * pair.size.j + j] != Row::full) return pair.rows[i * pair.size.j + j];
  const Span planes(i, pair.width / 2, pair.size.i), lines(j, pair.width / 2, pair.size.j);
  for (int64_t p = planes.first; p <= planes.last; ++p)
    for (int64_t line = lines.first; line <= lines.last; ++line)
      if (pair.rows[p * pair.size.j + line] != Row::full) return Row::mixed;
  return Row::full;
}

// Calls body(kind, begin, end) for the longest runs of rows of one kind.
template <class Kind, class Body>
inline void for_runs(int64_t first, int64_t last, const Kind& kind_of, const Body& body) {
  for (int64_t begin = first; begin < last;) {
    const Row kind = kind_of(begin);
    int64_t end = begin + 1;
    while (end < last && kind_of(end) == kind) ++end;
    body(kind, begin, end);
    begin = end;
  }
}

// Planes of several fields, of which only some are kept: plane i lies in place i % planes.
template <class T>
class Ring {
 public:
  Ring(const Size& size, int64_t fields, int64_t planes)
      : plane_(plane_of(size)), planes_(planes), values_(fields * planes * plane_) {}
  T* plane(int64_t field, int64_t i) const {
    return values_.get() + (field * planes_ + i % planes_) * plane_;
  }

 private:
  int64_t plane_, planes_;
  Buffer<T> values_;
};

// Computes values and slopes of the image at the positions of a block.
template <class T>
inline void sample_slopes(const T* image, const Size& size, const Steps& steps,
                          const Places<T>& places, int64_t count, T* __restrict values,
                          T (*slopes)[kBlock]) {
  Corners<T> corners;
  gather(image, steps, places, count, corners);
  const auto& v = corners.value;
  for (int64_t n = 0; n < count; ++n) {
    const T wi = places.weight[0][n], wj = places.weight[1][n], wk = places.weight[2][n];
    const T v00 = between(v[0][n], v[1][n], wk), v01 = between(v[2][n], v[3][n], wk);
    const T v10 = between(v[4][n], v[5][n], wk), v11 = between(v[6][n], v[7][n], wk);
    const T low = between(v00, v01, wj), high = between(v10, v11, wj);
    const T low_k = between(v[1][n] - v[0][n], v[3][n] - v[2][n], wj);
    const T high_k = between(v[5][n] - v[4][n], v[7][n] - v[6][n], wj);
    values[n] = between(low, high, wi);
    slopes[0][n] = high - low;
    slopes[1][n] = between(v01 - v00, v11 - v10, wi);
    slopes[2][n] = between(low_k, high_k, wi);
  }
  const int64_t sides[3] = {size.i, size.j, size.k};
  for (int64_t axis = 0; axis < 3; ++axis) {
    const T largest = static_cast<T>(sides[axis] > 2 ? sides[axis] - 2 : 0);
    for (int64_t n = 0; n < count; ++n)
      slopes[axis][n] *= slope(places.cell[axis][n], places.weight[axis][n], largest);
  }
}

// Stage 1: the moved image in plane i (`warped`, field 0), and its slopes with respect to the
// inner flow (fields 1 to 3).
template <class T>
void warp_rows(const Compared<T>& pair, int64_t i, int64_t first, int64_t last,
               const Ring<T>& warped) {
  const Size& size = pair.size;
  const Steps steps(size);
  Places<T> places;
  T flow[3][kBlock], slopes[3][kBlock];
  for (int64_t j = first; j < last; ++j) {
    if (pair.rows != nullptr && pair.rows[i * size.j + j] == Row::empty) continue;
    for (int64_t k = 0; k < size.k; k += kBlock) {
      const int64_t count = size.k - k < kBlock ? size.k - k : kBlock;
      fill_flow(size, pair.numbers, pair.inner, i, j, k, count, flow);
      locate_block(size, steps, flow, i, j, k, count, places);
      const int64_t at = j * size.k + k;
      sample_slopes(pair.moving, size, steps, places, count, warped.plane(0, i) + at, slopes);
      for (int64_t d = 0; d < 3; ++d) {
        const T a0 = pair.numbers[d], a1 = pair.numbers[3 + d], a2 = pair.numbers[6 + d];
        T* __restrict to = warped.plane(1 + d, i) + at;
        for (int64_t n = 0; n < count; ++n)
          to[n] = slopes[d][n] + a0 * slopes[0][n] + a1 * slopes[1][n] + a2 * slopes[2][n];
      }
    }
  }
}

// Squared correlations along a row, from the sums of the images: returns their sum. Fills
// `changes`, three rows, with their derivative's coefficients, as in local_correlation.h.
template <class T, bool is_weighted>
inline double correlate_row(const Compared<T>& pair, int64_t at, const T* __restrict shares,
                            const T* __restrict sums, T* __restrict correlations,
                            T* const* changes) {
  const int64_t count = pair.size.k;
  const T* __restrict weights = is_weighted ? pair.weights + at : nullptr;
  const T* __restrict mean = pair.statistics + at;
  const T* __restrict variance = mean + voxels_of(pair.size);
  T* __restrict constant = changes[0], * __restrict of_moved = changes[1];
  T* __restrict of_fixed = changes[2];
  const T floor = pair.floor;
#pragma omp simd
  for (int64_t k = 0; k < count; ++k) {
    T share, weight, mean_f, variance_f;
    if constexpr (is_weighted) {
      const T total = sums[k + 3 * count];
      weight = weights[k];
      share = 1 / (total > T(1e-6) ? total : T(1e-6));
      mean_f = sums[k + 4 * count] * share;
      variance_f = sums[k + 5 * count] * share - mean_f * mean_f;
      variance_f = variance_f > 0 ? variance_f : T(0);
    } else {
      weight = 1;
      share = shares[k];
      mean_f = mean[k];
      variance_f = variance[k];
    }
    const T mean_m = sums[k] * share;
    const T spread_m = sums[k + count] * share - mean_m * mean_m;
    const T variance_m = spread_m > 0 ? spread_m : T(0);
    const T covariance = sums[k + 2 * count] * share - mean_f * mean_m;
    const T one = 1 / (variance_f * variance_m + floor);
    const T shared = weight * ((covariance * covariance + floor) * one);
    const T by_covariance = 2 * weight * covariance * one * share;
    const T by_moved = spread_m > 0 ? -shared * one * share * variance_f : T(0);
    correlations[k] = shared;
    constant[k] = -mean_f * by_covariance - 2 * mean_m * by_moved;
    of_moved[k] = by_moved;
    of_fixed[k] = by_covariance;
  }
  return sum_in_lanes<T>(count, [=](int64_t k) { return correlations[k]; });
}

// Stage 2: the squared correlations in rows of plane i, summed row by row, and the
// coefficients of their derivative.
template <class T, bool is_weighted>
void correlate_run(const Compared<T>& pair, int64_t i, int64_t first, int64_t last,
                   const Ring<T>& warped, const Ring<T>& changes, double* row_sums) {
  const Size& size = pair.size;
  const int64_t row = size.k, radius = pair.width / 2;
  const Span planes(i, radius, size.i);
  const int64_t count = planes.last - planes.first + 1;
  Buffer<T> shares(row), correlations(row);
  Buffer<double> exact(row);
  Buffer<const T*> f(count), m(count), w(count);
  RowSums<T>(size, is_weighted ? kWeighted : kUnweighted, pair.width)
      .run(
          first, last,
          [&](int64_t j, T* fields, int64_t stride) {
            for (int64_t p = 0; p < count; ++p) {
              const int64_t at = (planes.first + p) * plane_of(size) + j * row;
              f[p] = pair.fixed + at;
              m[p] = warped.plane(0, planes.first + p) + j * row;
              w[p] = is_weighted ? pair.weights + at : nullptr;
            }
            sum_row_moments<T, is_weighted>(f.get(), m.get(), w.get(), count, row, fields,
                                            stride);
          },
          [&](int64_t j, const T* sums) {
            fill_shares(size, i, j, radius, exact.get());
            for (int64_t k = 0; k < row; ++k) shares[k] = static_cast<T>(exact[k]);
            T* const to[kChanges] = {changes.plane(0, i) + j * row,
                                     changes.plane(1, i) + j * row,
                                     changes.plane(2, i) + j * row};
            row_sums[i * size.j + j] = correlate_row<T, is_weighted>(
                pair, i * plane_of(size) + j * row, shares.get(), sums, correlations.get(), to);
          });
}

template <class T>
void correlate_rows(const Compared<T>& pair, int64_t i, int64_t first, int64_t last,
                    const Ring<T>& warped, const Ring<T>& changes, double* row_sums) {
  for_runs(
      first, last, [&](int64_t j) { return centers_of(pair, i, j); },
      [&](Row kind, int64_t begin, int64_t end) {
        if (kind == Row::full)
          correlate_run<T, false>(pair, i, begin, end, warped, changes, row_sums);
        if (kind == Row::mixed)
          correlate_run<T, true>(pair, i, begin, end, warped, changes, row_sums);
        if (kind != Row::empty) return;
        const int64_t row = pair.size.k;
        for (int64_t j = begin; j < end; ++j) row_sums[i * pair.size.j + j] = 0;
        for (int64_t field = 0; field < kChanges; ++field)
          for (int64_t n = begin * row; n < end * row; ++n) changes.plane(field, i)[n] = 0;
      });
}

// Stage 3: adds the gradient of the sum of stage 2, times `scale`, in rows of plane i.
template <class T>
void add_gradient_run(const Compared<T>& pair, int64_t i, int64_t first, int64_t last,
                      const Ring<T>& warped, const Ring<T>& changes, T scale, T* gradient) {
  const Size& size = pair.size;
  const int64_t row = size.k;
  const Span planes(i, pair.width / 2, size.i);
  Buffer<T> of_moved(row);
  RowSums<T>(size, kChanges, pair.width)
      .run(
          first, last,
          [&](int64_t j, T* fields, int64_t stride) {
            for (int64_t field = 0; field < kChanges; ++field) {
              T* __restrict to = fields + field * stride;
              for (int64_t p = planes.first; p <= planes.last; ++p) {
                const T* __restrict from = changes.plane(field, p) + j * row;
                if (p == planes.first)
                  for (int64_t k = 0; k < row; ++k) to[k] = from[k];
                else
                  for (int64_t k = 0; k < row; ++k) to[k] += from[k];
              }
            }
          },
          [&](int64_t j, const T* __restrict sums) {
            const int64_t in_plane = j * row, at = i * plane_of(size) + in_plane;
            const T* __restrict m = warped.plane(0, i) + in_plane;
            const T* __restrict f = pair.fixed + at;
            T* __restrict by_moved = of_moved.get();
            for (int64_t k = 0; k < row; ++k)
              by_moved[k] =
                  scale * (sums[k] + 2 * sums[k + row] * m[k] + sums[k + 2 * row] * f[k]);
            if (const T* weights = pair.weights; weights != nullptr)
              for (int64_t k = 0; k < row; ++k)
                by_moved[k] = weights[at + k] == 0 ? T(0) : weights[at + k] * by_moved[k];
            for (int64_t axis = 0; axis < 3; ++axis) {
              const T* __restrict slopes = warped.plane(1 + axis, i) + in_plane;
              T* __restrict to = gradient + axis * voxels_of(size) + at;
              for (int64_t k = 0; k < row; ++k) to[k] += by_moved[k] * slopes[k];
            }
          });
}

template <class T>
void add_gradient_rows(const Compared<T>& pair, int64_t i, int64_t first, int64_t last,
                       const Ring<T>& warped, const Ring<T>& changes, T scale, T* gradient) {
  for_runs(
      first, last,
      [&](int64_t j) {
        const bool is_empty =
            pair.rows != nullptr && pair.rows[i * pair.size.j + j] == Row::empty;
        return is_empty ? Row::empty : Row::full;
      },
      [&](Row kind, int64_t begin, int64_t end) {
        if (kind == Row::empty) return;
        add_gradient_run(pair, i, begin, end, warped, changes, scale, gradient);
      });
}

// Calls body(i, first, last) for parts of the rows of planes begin .. end - 1.
template <class Body>
void for_planes(const Size& size, int64_t begin, int64_t end, int threads, const Body& body) {
  parallel_for(
      end > begin ? (end - begin) * size.j : 0, threads, [&](int64_t from, int64_t to) {
        for (int64_t row = from; row < to;) {
          const int64_t i = row / size.j, stop = to < (i + 1) * size.j ? to : (i + 1) * size.j;
          body(begin + i, row - i * size.j, stop - i * size.j);
          row = stop;
        }
      });
}

// Sum over the voxels of the squared correlation (by weights at the cubes' centers) between
// the fixed image and the moving one at x + flow(x), where the flow is the affine one after
// `inner`. Adds its gradient with respect to `inner`, times `scale`, unless that is null. A
// batch of one item.
template <class T>
void add_warped_correlation(Size size, const T* fixed, const T* statistics, const T* moving,
                            const T* weights, const T* numbers, const T* inner, int64_t width,
                            double floor, double scale, double* sum, T* gradient, int threads) {
  const int64_t lines = size.i * size.j;
  Buffer<Row> rows(weights == nullptr ? 0 : lines);
  for (int64_t row = 0; weights != nullptr && row < lines; ++row)
    rows[row] = row_of(weights + row * size.k, size.k);
  const Compared<T> pair{size,
                         fixed,
                         statistics,
                         moving,
                         weights,
                         numbers,
                         inner,
                         width,
                         static_cast<T>(floor),
                         weights == nullptr ? nullptr : rows.get()};
  const int64_t radius = width / 2, kept = kSlab + 2 * radius;
  const Ring<T> warped(size, 4, kept < size.i ? kept : size.i);
  const Ring<T> changes(size, kChanges, kept < size.i ? kept : size.i);
  Buffer<double> row_sums(size.i * size.j);
  const auto until = [&](int64_t plane) { return plane < size.i ? plane : size.i; };
  int64_t warped_to = 0, correlated_to = 0;
  for (int64_t begin = 0; begin < size.i; begin += kSlab) {
    const int64_t end = until(begin + kSlab);
    for_planes(size, warped_to, until(end + 2 * radius), threads,
               [&](int64_t i, int64_t first, int64_t last) {
                 warp_rows(pair, i, first, last, warped);
               });
    warped_to = until(end + 2 * radius);
    for_planes(size, correlated_to, until(end + radius), threads,
               [&](int64_t i, int64_t first, int64_t last) {
                 correlate_rows(pair, i, first, last, warped, changes, row_sums.get());
               });
    correlated_to = until(end + radius);
    if (gradient == nullptr) continue;
    for_planes(size, begin, end, threads, [&](int64_t i, int64_t first, int64_t last) {
      add_gradient_rows(pair, i, first, last, warped, changes, static_cast<T>(scale), gradient);
    });
  }
  *sum = 0;
  for (int64_t row = 0; row < size.i * size.j; ++row) *sum += row_sums[row];
}

}  // namespace
