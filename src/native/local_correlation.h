// Squared local correlation in a cube around every voxel, from running box sums.
#pragma once

#include "buffer.h"
#include "moments.h"
#include "parallel.h"
#include "size.h"

namespace {

using voltween::Size;

// Number of planes per piece of work. A piece also reads half a cube beyond both its ends:
// longer pieces waste less, shorter ones keep more threads busy. The number is fixed, so
// the result does not depend on the number of threads.
constexpr int64_t kPlanes = 16;

// Number of voxels of a cube around voxel `at` that lie inside the grid, along one axis.
inline int64_t voxels_inside(int64_t at, int64_t voxels, int64_t radius) {
  const int64_t first = at > radius ? at - radius : 0;
  const int64_t last = at + radius < voxels - 1 ? at + radius : voxels - 1;
  return last - first + 1;
}

// Sums of `fields` arrays over the cube around every voxel of planes first .. last - 1. A
// cube at the border is cut off there. `fill(i, j, rows, stride)` writes the values of a
// row, one row per field; `take(i, j, sums)` receives the sums. Only a slab of planes as
// thick as the cube is kept in memory. Sums over i and j are running sums, which add the
// row or plane that enters the cube and subtract the one that leaves: in double precision,
// which is exact enough for values in single precision.
template <class T>
class BoxSums {
 public:
  BoxSums(const Size& size, int64_t fields, int64_t width)
      : size_(size),
        fields_(fields),
        width_(width),
        radius_(width / 2),
        padded_((size.k + 2 * radius_) * fields),
        rows_(width * fields * size.k),
        row_sums_(fields * size.k),
        planes_(width * fields * plane_of(size)),
        plane_sums_(fields * plane_of(size)) {
    padded_.fill((size.k + 2 * radius_) * fields, 0);
  }

  template <class Fill, class Take>
  void run(int64_t first, int64_t last, const Fill& fill, const Take& take) {
    const int64_t row = fields_ * size_.k, plane = row * size_.j;
    plane_sums_.fill(plane, 0);
    for (int64_t i = first - radius_; i < last + radius_; ++i) {
      if (i - width_ >= first - radius_ && i - width_ >= 0)
        add(planes_.get() + (i - width_) % width_ * plane, plane, -1);
      if (i >= 0 && i < size_.i) {
        T* sums = planes_.get() + i % width_ * plane;
        sum_plane(i, fill, sums);
        add(sums, plane, 1);
      }
      const int64_t done = i - radius_;
      if (done < first || done >= last) continue;
      for (int64_t j = 0; j < size_.j; ++j) take(done, j, plane_sums_.get() + j * row);
    }
  }

 private:
  void add(const T* values, int64_t count, double sign) {
    double* sums = plane_sums_.get();
    for (int64_t n = 0; n < count; ++n) sums[n] += sign * values[n];
  }

  template <class Fill>
  void sum_plane(int64_t i, const Fill& fill, T* sums) {
    const int64_t row = fields_ * size_.k;
    row_sums_.fill(row, 0);
    for (int64_t j = -radius_; j < size_.j; ++j) {
      const int64_t enters = j + radius_, leaves = enters - width_;
      if (leaves >= 0 && leaves < size_.j) add_row(leaves, -1);
      if (enters < size_.j) {
        sum_row(i, enters, fill);
        add_row(enters, 1);
      }
      if (j < 0) continue;
      for (int64_t n = 0; n < row; ++n) sums[j * row + n] = static_cast<T>(row_sums_[n]);
    }
  }

  void add_row(int64_t j, double sign) {
    const int64_t row = fields_ * size_.k;
    const T* values = rows_.get() + j % width_ * row;
    for (int64_t n = 0; n < row; ++n) row_sums_[n] += sign * values[n];
  }

  template <class Fill>
  void sum_row(int64_t i, int64_t j, const Fill& fill) {
    const int64_t k = size_.k, padded = k + 2 * radius_;
    T* sums = rows_.get() + j % width_ * fields_ * k;
    fill(i, j, padded_.get() + radius_, padded);
    for (int64_t field = 0; field < fields_; ++field) {
      const T* values = padded_.get() + field * padded;
      T* sum = sums + field * k;
      for (int64_t n = 0; n < k; ++n) sum[n] = values[n];
      for (int64_t shift = 1; shift < width_; ++shift)
        for (int64_t n = 0; n < k; ++n) sum[n] += values[n + shift];
    }
  }

  Size size_;
  int64_t fields_, width_, radius_;
  Buffer<T> padded_, rows_;
  Buffer<double> row_sums_;
  Buffer<T> planes_;
  Buffer<double> plane_sums_;
};

// Fills five rows with f, m, f f, m m and f m.
template <class T>
inline void fill_moments(const T* f, const T* m, int64_t count, T* rows, int64_t stride) {
  for (int64_t n = 0; n < count; ++n) {
    rows[n] = f[n];
    rows[n + stride] = m[n];
    rows[n + 2 * stride] = f[n] * f[n];
    rows[n + 3 * stride] = m[n] * m[n];
    rows[n + 4 * stride] = f[n] * m[n];
  }
}

// Statistics of the images f and m in one cube; the squared correlation is shared / spread.
struct Cube {
  double mean_f, mean_m, variance_f, variance_m, covariance, shared, spread;
};

// Statistics of a cube from its five sums, which lie `row` numbers apart, and `share`, one
// over its number of voxels.
inline Cube cube(const double* sums, int64_t row, double share, double floor) {
  Cube c;
  c.mean_f = sums[0] * share;
  c.mean_m = sums[row] * share;
  const double variance_f = sums[2 * row] * share - c.mean_f * c.mean_f;
  const double variance_m = sums[3 * row] * share - c.mean_m * c.mean_m;
  c.variance_f = variance_f > 0 ? variance_f : 0;
  c.variance_m = variance_m > 0 ? variance_m : 0;
  c.covariance = sums[4 * row] * share - c.mean_f * c.mean_m;
  // The floor is in both terms so that two equal cubes have correlation 1 at any contrast.
  c.shared = c.covariance * c.covariance + floor;
  c.spread = c.variance_f * c.variance_m + floor;
  return c;
}

// Calls body(b, first, last) for every piece of planes first .. last - 1 of item b.
template <class Body>
void for_pieces(const Size& size, int threads, const Body& body) {
  const int64_t pieces = (size.i + kPlanes - 1) / kPlanes;
  parallel_for(size.batch * pieces, threads, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const int64_t first = n % pieces * kPlanes;
      body(n / pieces, first, first + kPlanes < size.i ? first + kPlanes : size.i);
    }
  });
}

// Fills `shares` with 1 / (number of voxels inside the grid) of each cube along a row.
inline void fill_shares(const Size& size, int64_t i, int64_t j, int64_t radius,
                        double* shares) {
  const int64_t across = voxels_inside(i, size.i, radius) * voxels_inside(j, size.j, radius);
  for (int64_t k = 0; k < size.k; ++k)
    shares[k] = 1.0 / static_cast<double>(across * voxels_inside(k, size.k, radius));
}

// Sum over the voxels of each item of the squared correlation in cubes.
template <class T>
void local_correlation(Size size, const T* fixed, const T* moved, int64_t width, double floor,
                       double* sums, int threads) {
  const int64_t planes = size.batch * size.i, voxels = voxels_of(size);
  Buffer<double> plane_sums(planes);
  plane_sums.fill(planes, 0);
  for_pieces(size, threads, [&](int64_t b, int64_t first, int64_t last) {
    Buffer<double> shares(size.k), values(size.k);
    BoxSums<T> boxes(size, kMoments, width);
    boxes.run(
        first, last,
        [&](int64_t i, int64_t j, T* rows, int64_t stride) {
          const int64_t at = b * voxels + (i * size.j + j) * size.k;
          fill_moments(fixed + at, moved + at, size.k, rows, stride);
        },
        [&](int64_t i, int64_t j, const double* box) {
          fill_shares(size, i, j, width / 2, shares.get());
          for (int64_t k = 0; k < size.k; ++k) {
            const Cube c = cube(box + k, size.k, shares[k], floor);
            values[k] = c.shared / c.spread;
          }
          for (int64_t k = 0; k < size.k; ++k) plane_sums[b * size.i + i] += values[k];
        });
  });
  for (int64_t b = 0; b < size.batch; ++b) {
    sums[b] = 0;
    for (int64_t i = 0; i < size.i; ++i) sums[b] += plane_sums[b * size.i + i];
  }
}

// Fills rows with the coefficients of the derivative of a cube's squared correlation with
// respect to the values of a voxel inside it. The derivative with respect to m is
// a + 2 b m + c f, likewise for f. Rows: a and b for m, c for both, a and b for f.
template <class T>
inline void fill_changes(const double* box, int64_t count, const double* shares, double floor,
                         int64_t fields, T* rows, int64_t stride) {
  for (int64_t k = 0; k < count; ++k) {
    const Cube c = cube(box + k, count, shares[k], floor);
    const double by_covariance = 2 * c.covariance / c.spread * shares[k];
    const double by_variances = -c.shared / (c.spread * c.spread) * shares[k];
    const double by_moved = c.variance_m > 0 ? by_variances * c.variance_f : 0;
    rows[k] = static_cast<T>(-c.mean_f * by_covariance - 2 * c.mean_m * by_moved);
    rows[k + stride] = static_cast<T>(by_moved);
    rows[k + 2 * stride] = static_cast<T>(by_covariance);
    if (fields == 3) continue;
    const double by_fixed = c.variance_f > 0 ? by_variances * c.variance_m : 0;
    rows[k + 3 * stride] = static_cast<T>(-c.mean_m * by_covariance - 2 * c.mean_f * by_fixed);
    rows[k + 4 * stride] = static_cast<T>(by_fixed);
  }
}

// Gradients along a row, from the box sums of the rows that `fill_changes` filled.
template <class T>
inline void fill_gradients(const double* box, int64_t count, const T* f, const T* m,
                           double gradient, T* fixed_gradient, T* moved_gradient) {
  for (int64_t k = 0; k < count; ++k) {
    const double* s = box + k;
    if (moved_gradient != nullptr)
      moved_gradient[k] =
          static_cast<T>(gradient * (s[0] + 2 * s[count] * m[k] + s[2 * count] * f[k]));
    if (fixed_gradient != nullptr)
      fixed_gradient[k] = static_cast<T>(
          gradient * (s[3 * count] + 2 * s[4 * count] * f[k] + s[2 * count] * m[k]));
  }
}

// Gradients of `local_correlation` with respect to the images; null where not wanted.
template <class T>
void local_correlation_backward(Size size, const T* fixed, const T* moved, int64_t width,
                                double floor, const double* gradient, T* fixed_gradient,
                                T* moved_gradient, int threads) {
  const int64_t radius = width / 2, voxels = voxels_of(size), row = size.k;
  const int64_t fields = fixed_gradient != nullptr ? kMoments : 3;
  for_pieces(size, threads, [&](int64_t b, int64_t first, int64_t last) {
    const T *f = fixed + b * voxels, *m = moved + b * voxels;
    const int64_t low = first > radius ? first - radius : 0;
    const int64_t high = last + radius < size.i ? last + radius : size.i;
    Buffer<double> shares(row);
    Buffer<T> changes((high - low) * size.j * fields * row);
    BoxSums<T>(size, kMoments, width)
        .run(
            low, high,
            [&](int64_t i, int64_t j, T* rows, int64_t stride) {
              const int64_t at = (i * size.j + j) * row;
              fill_moments(f + at, m + at, row, rows, stride);
            },
            [&](int64_t i, int64_t j, const double* box) {
              fill_shares(size, i, j, radius, shares.get());
              fill_changes(box, row, shares.get(), floor, fields,
                           changes.get() + ((i - low) * size.j + j) * fields * row, row);
            });
    BoxSums<T>(size, fields, width)
        .run(
            first, last,
            [&](int64_t i, int64_t j, T* rows, int64_t stride) {
              const T* source = changes.get() + ((i - low) * size.j + j) * fields * row;
              for (int64_t field = 0; field < fields; ++field)
                for (int64_t k = 0; k < row; ++k)
                  rows[field * stride + k] = source[field * row + k];
            },
            [&](int64_t i, int64_t j, const double* box) {
              const int64_t at = (i * size.j + j) * row;
              fill_gradients(
                  box, row, f + at, m + at, gradient[b],
                  fixed_gradient == nullptr ? nullptr : fixed_gradient + b * voxels + at,
                  moved_gradient == nullptr ? nullptr : moved_gradient + b * voxels + at);
            });
  });
}

}  // namespace
