// Linear interpolation of control points, which span the grid from its first to its last
// voxel along each axis, and its transpose.
#pragma once

#include "buffer.h"
#include "parallel.h"
#include "size.h"

namespace {

using voltween::Size;

// Where the voxels of one axis lie among the control points: between the points `low` and
// `high`, by the share `weight` of the way.
template <class T>
class Between {
 public:
  Between(int64_t points, int64_t voxels) : low_(voxels), high_(voxels), weight_(voxels) {
    for (int64_t n = 0; n < voxels; ++n) {
      // The quotient is exact where a voxel lies on a control point.
      const int64_t whole = voxels > 1 ? n * (points - 1) / (voxels - 1) : 0;
      const int64_t rest = voxels > 1 ? n * (points - 1) % (voxels - 1) : 0;
      low_[n] = whole;
      high_[n] = whole + 1 < points ? whole + 1 : points - 1;
      weight_[n] =
          rest == 0
              ? T(0)
              : static_cast<T>(static_cast<double>(rest) / static_cast<double>(voxels - 1));
    }
  }
  int64_t low(int64_t n) const { return low_[n]; }
  int64_t high(int64_t n) const { return high_[n]; }
  T weight(int64_t n) const { return weight_[n]; }
  // Influence of a control point on a voxel.
  T share(int64_t point, int64_t n) const {
    return (point == low_[n] ? 1 - weight_[n] : T(0)) + (point == high_[n] ? weight_[n] : T(0));
  }

 private:
  Buffer<int64_t> low_, high_;
  Buffer<T> weight_;
};

template <class T>
inline void mix(const T* __restrict low, const T* __restrict high, T weight, int64_t count,
                T* __restrict result) {
  for (int64_t n = 0; n < count; ++n) result[n] = low[n] + weight * (high[n] - low[n]);
}

// Interpolates `control`, of `points`, at every voxel of `size`.
template <class T>
void spread(Size size, Size points, const T* control, T* result, int threads) {
  const Between<T> along_i(points.i, size.i), along_j(points.j, size.j);
  const Between<T> along_k(points.k, size.k);
  const int64_t fields = size.batch * size.channels, rows = points.i * points.j;
  Buffer<T> wide(fields * rows * size.k);  // interpolated along k
  parallel_for(fields * rows, threads, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* from = control + row * points.k;
      T* to = wide.get() + row * size.k;
      for (int64_t k = 0; k < size.k; ++k) {
        const T low = from[along_k.low(k)];
        to[k] = low + along_k.weight(k) * (from[along_k.high(k)] - low);
      }
    }
  });
  const int64_t plane = points.j * size.k;
  parallel_for(fields * size.i, threads, [&](int64_t begin, int64_t end) {
    Buffer<T> between(plane);
    for (int64_t p = begin; p < end; ++p) {
      const int64_t i = p % size.i;
      const T* field = wide.get() + p / size.i * points.i * plane;
      mix(field + along_i.low(i) * plane, field + along_i.high(i) * plane, along_i.weight(i),
          plane, between.get());
      for (int64_t j = 0; j < size.j; ++j)
        mix(between.get() + along_j.low(j) * size.k, between.get() + along_j.high(j) * size.k,
            along_j.weight(j), size.k, result + (p * size.j + j) * size.k);
    }
  });
}

template <class T>
inline void add_scaled(const T* __restrict values, T scale, int64_t count, T* __restrict sums) {
  for (int64_t n = 0; n < count; ++n) sums[n] += scale * values[n];
}

// Gradient of `spread` with respect to the control points. Each plane of control points
// belongs to one thread, so that the order of additions is always the same.
template <class T>
void spread_backward(Size size, Size points, const T* gradient, T* control_gradient,
                     int threads) {
  const Between<T> along_i(points.i, size.i), along_j(points.j, size.j);
  const Between<T> along_k(points.k, size.k);
  const int64_t plane = plane_of(size), fields = size.batch * size.channels;
  parallel_for(fields * points.i, threads, [&](int64_t begin, int64_t end) {
    Buffer<T> of_plane(plane), of_row(points.j * size.k);
    for (int64_t p = begin; p < end; ++p) {
      const T* field = gradient + p / points.i * size.i * plane;
      of_plane.fill(plane, 0);
      for (int64_t i = 0; i < size.i; ++i)
        if (const T share = along_i.share(p % points.i, i); share != 0)
          add_scaled(field + i * plane, share, plane, of_plane.get());
      of_row.fill(points.j * size.k, 0);
      for (int64_t j = 0; j < size.j; ++j) {
        const T* row = of_plane.get() + j * size.k;
        const T weight = along_j.weight(j);
        add_scaled(row, 1 - weight, size.k, of_row.get() + along_j.low(j) * size.k);
        add_scaled(row, weight, size.k, of_row.get() + along_j.high(j) * size.k);
      }
      T* to = control_gradient + p * points.j * points.k;
      for (int64_t n = 0; n < points.j * points.k; ++n) to[n] = 0;
      for (int64_t j = 0; j < points.j; ++j)
        for (int64_t k = 0; k < size.k; ++k) {
          const T value = of_row[j * size.k + k], weight = along_k.weight(k);
          to[j * points.k + along_k.low(k)] += (1 - weight) * value;
          to[j * points.k + along_k.high(k)] += weight * value;
        }
    }
  });
}

}  // namespace
