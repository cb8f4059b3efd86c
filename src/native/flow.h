// Differences between neighboring voxels of a flow: total variation and Jacobian
// determinant.
#pragma once

#include "apart.h"
#include "buffer.h"
#include "lanes.h"
#include "parallel.h"
#include "size.h"

namespace {

using voltween::Size;

// Sum over one row of the squared differences to the next voxel along i, j and k. At the
// border the next voxel is the voxel itself. A row is short enough for a sum in T. One copy
// of it serves any number of threads.
template <class T>
VOLTWEEN_APART T row_variation(const Size& size, const T* here, bool has_next_i,
                               bool has_next_j) {
  const T* below = has_next_i ? here + plane_of(size) : here;
  const T* right = has_next_j ? here + size.k : here;
  const T across = sum_in_lanes<T>(size.k, [=](int64_t k) {
    const T by_i = below[k] - here[k], by_j = right[k] - here[k];
    return by_i * by_i + by_j * by_j;
  });
  const T along = sum_in_lanes<T>(
      size.k - 1, [=](int64_t k) { return (here[k + 1] - here[k]) * (here[k + 1] - here[k]); });
  return across + along;
}

// Sum of the squared forward differences of each item's flow.
template <class T>
void total_variation(Size size, const T* flow, double* sums, int threads) {
  const int64_t planes = size.batch * 3 * size.i;
  Buffer<double> plane_sums(planes);
  parallel_for(planes, threads, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      double sum = 0;
      for (int64_t j = 0; j < size.j; ++j)
        sum += row_variation(size, flow + (p * size.j + j) * size.k, p % size.i + 1 < size.i,
                             j + 1 < size.j);
      plane_sums[p] = sum;
    }
  });
  for (int64_t b = 0; b < size.batch; ++b) {
    sums[b] = 0;
    for (int64_t p = 0; p < 3 * size.i; ++p) sums[b] += plane_sums[b * 3 * size.i + p];
  }
}

// Gradient of `total_variation` with respect to the flow.
template <class T>
void total_variation_backward(Size size, const T* flow, const double* gradient,
                              T* flow_gradient, int threads) {
  const int64_t planes = size.batch * 3 * size.i;
  parallel_for(planes * size.j, threads, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t i = r / size.j % size.i, j = r % size.j;
      const T twice = static_cast<T>(2 * gradient[r / size.j / (3 * size.i)]);
      const T* here = flow + r * size.k;
      // A neighbor beyond the border is the voxel itself, so the difference is zero.
      const T* above = i > 0 ? here - plane_of(size) : here;
      const T* below = i + 1 < size.i ? here + plane_of(size) : here;
      const T* left = j > 0 ? here - size.k : here;
      const T* right = j + 1 < size.j ? here + size.k : here;
      T* result = flow_gradient + r * size.k;
#pragma omp simd
      for (int64_t k = 0; k < size.k; ++k)
        result[k] = twice * (4 * here[k] - above[k] - below[k] - left[k] - right[k]);
      for (int64_t k = 1; k < size.k; ++k) {
        const T change = twice * (here[k] - here[k - 1]);
        result[k] += change;
        result[k - 1] -= change;
      }
    }
  });
}

// Central difference along an axis, one-sided at the border. Neighbors along the axis lie
// `step` numbers apart in memory.
template <class T>
inline T slope_at(const T* value, int64_t at, int64_t voxels, int64_t step) {
  const int64_t low = at > 0 ? -step : 0, high = at + 1 < voxels ? step : 0;
  const T share = at > 0 && at + 1 < voxels ? T(0.5) : T(1);
  return (value[high] - value[low]) * share;
}

// Fills the Jacobian matrix of x + flow(x) at one voxel: row c holds the slopes of
// component c along i, j and k.
template <class T>
inline void fill_derivative(const Size& size, const T* flow, int64_t i, int64_t j, int64_t k,
                            T (*derivative)[3]) {
  for (int64_t c = 0; c < 3; ++c) {
    const T* value = flow + c * voxels_of(size) + (i * size.j + j) * size.k + k;
    derivative[c][0] = slope_at(value, i, size.i, plane_of(size));
    derivative[c][1] = slope_at(value, j, size.j, size.k);
    derivative[c][2] = slope_at(value, k, size.k, 1);
    derivative[c][c] += 1;
  }
}

template <class T>
inline T cofactor(const T (*m)[3], int64_t row, int64_t column) {
  const int64_t a = (row + 1) % 3, b = (row + 2) % 3;
  const int64_t c = (column + 1) % 3, d = (column + 2) % 3;
  return m[a][c] * m[b][d] - m[a][d] * m[b][c];
}

// Determinant of the Jacobian matrix of x + flow(x) at every voxel.
template <class T>
void jacobian(Size size, const T* flow, T* determinant, int threads) {
  parallel_for(size.batch * size.i * size.j, threads, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t b = row / (size.i * size.j), i = row / size.j % size.i, j = row % size.j;
      for (int64_t k = 0; k < size.k; ++k) {
        T m[3][3];
        fill_derivative(size, flow + 3 * b * voxels_of(size), i, j, k, m);
        determinant[row * size.k + k] = m[0][0] * cofactor(m, 0, 0) +
                                        m[0][1] * cofactor(m, 0, 1) +
                                        m[0][2] * cofactor(m, 0, 2);
      }
    }
  });
}

// Derivative of the slope at `from` with respect to the value at `to`, along one axis.
template <class T>
inline T slope_weight(int64_t from, int64_t to, int64_t voxels) {
  const T share = from > 0 && from + 1 < voxels ? T(0.5) : T(1);
  const bool is_high = to == (from + 1 < voxels ? from + 1 : from);
  const bool is_low = to == (from > 0 ? from - 1 : from);
  return share * (static_cast<T>(is_high) - static_cast<T>(is_low));
}

// Fills `passed` with the gradient times the cofactors in plane i: nine arrays, by
// component and axis.
template <class T>
void fill_passed(const Size& size, const T* flow, const T* gradient, int64_t i, T* passed) {
  for (int64_t j = 0; j < size.j; ++j)
    for (int64_t k = 0; k < size.k; ++k) {
      const int64_t at = j * size.k + k;
      T m[3][3];
      fill_derivative(size, flow, i, j, k, m);
      for (int64_t c = 0; c < 3; ++c)
        for (int64_t axis = 0; axis < 3; ++axis)
          passed[(3 * c + axis) * plane_of(size) + at] =
              gradient[i * plane_of(size) + at] * cofactor(m, c, axis);
    }
}

// Gradient of one component of the flow in plane i, from the products that `fill_passed`
// computed for planes i - 1, i and i + 1.
template <class T>
void gather_passed(const Size& size, const T* const* planes, int64_t i, int64_t c,
                   T* flow_gradient) {
  const int64_t plane = plane_of(size);
  for (int64_t j = 0; j < size.j; ++j)
    for (int64_t k = 0; k < size.k; ++k) {
      T sum = 0;
      for (int64_t shift = -1; shift <= 1; ++shift) {
        const int64_t ii = i + shift, jj = j + shift, kk = k + shift;
        if (ii >= 0 && ii < size.i)
          sum += slope_weight<T>(ii, i, size.i) *
                 planes[shift + 1][3 * c * plane + j * size.k + k];
        if (jj >= 0 && jj < size.j)
          sum +=
              slope_weight<T>(jj, j, size.j) * planes[1][(3 * c + 1) * plane + jj * size.k + k];
        if (kk >= 0 && kk < size.k)
          sum +=
              slope_weight<T>(kk, k, size.k) * planes[1][(3 * c + 2) * plane + j * size.k + kk];
      }
      flow_gradient[j * size.k + k] = sum;
    }
}

// Gradient of `jacobian` with respect to the flow. A ring buffer holds the products of
// three planes.
template <class T>
void jacobian_backward(Size size, const T* flow, const T* gradient, T* flow_gradient,
                       int threads) {
  const int64_t plane = plane_of(size), voxels = voxels_of(size);
  parallel_for(size.batch * size.i, threads, [&](int64_t begin, int64_t end) {
    Buffer<T> ring(3 * 9 * plane);
    for (int64_t p = begin; p < end; ++p) {
      const int64_t b = p / size.i, i = p % size.i;
      const bool is_first = p == begin || i == 0;
      for (int64_t n = is_first ? i - 1 : i + 1; n <= i + 1; ++n)
        if (n >= 0 && n < size.i)
          fill_passed(size, flow + 3 * b * voxels, gradient + b * voxels, n,
                      ring.get() + n % 3 * 9 * plane);
      const T* planes[3];
      for (int64_t n = 0; n < 3; ++n) planes[n] = ring.get() + (i + n + 2) % 3 * 9 * plane;
      for (int64_t c = 0; c < 3; ++c)
        gather_passed(size, planes, i, c, flow_gradient + (3 * b + c) * voxels + i * plane);
    }
  });
}

}  // namespace
