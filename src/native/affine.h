// Composition of an affine flow A x + b with the flow `inner` that is applied before it,
// without interpolation (eq. 19). x is in voxels from the center of the grid.
#pragma once

#include "buffer.h"
#include "lanes.h"
#include "parallel.h"
#include "size.h"

namespace {

using voltween::Size;

constexpr int64_t kNumbers = 12;  // numbers of an affine map: A row by row, then b

// Computes (I + A) inner + A x + b; `numbers` holds 12 numbers per item.
template <class T>
void compose_affine(Size size, const T* numbers, const T* inner, T* result, int threads) {
  const int64_t voxels = voxels_of(size);
  parallel_for(size.batch * size.i * size.j, threads, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t b = row / (size.i * size.j), in_item = row % (size.i * size.j);
      const T x = T(in_item / size.j) - T(size.i - 1) / 2;
      const T y = T(in_item % size.j) - T(size.j - 1) / 2;
      const int64_t at = 3 * b * voxels + in_item * size.k;
      const T* __restrict u = inner + at;
      const T* __restrict v = u + voxels;
      const T* __restrict w = v + voxels;
      for (int64_t c = 0; c < 3; ++c) {
        const T* a = numbers + b * kNumbers + 3 * c;
        const T a0 = a[0], a1 = a[1], a2 = a[2];
        const T offset =
            a0 * x + a1 * y - a2 * (T(size.k - 1) / 2) + numbers[b * kNumbers + 9 + c];
        const T* __restrict component = u + c * voxels;
        T* __restrict to = result + at + c * voxels;
        for (int32_t k = 0; k < size.k; ++k)
          to[k] = component[k] + (a0 * u[k] + a1 * v[k] + a2 * (w[k] + T(k)) + offset);
      }
    }
  });
}

// Adds the gradients with respect to the 12 numbers, from one row, to `sums`.
template <class T>
inline void add_number_gradients(const Size& size, const T* inner, const T* gradient, T x, T y,
                                 double* sums) {
  const int64_t voxels = voxels_of(size);
  const T z = T(size.k - 1) / 2;
  const T* __restrict u = inner;
  const T* __restrict v = u + voxels;
  const T* __restrict w = v + voxels;
  for (int64_t c = 0; c < 3; ++c) {
    const T* __restrict g = gradient + c * voxels;
    const auto add = [&](int64_t number, const auto& term) {
      sums[number] += sum_in_lanes<T>(size.k, term);
    };
    add(3 * c, [=](int64_t k) { return g[k] * (u[k] + x); });
    add(3 * c + 1, [=](int64_t k) { return g[k] * (v[k] + y); });
    add(3 * c + 2, [=](int64_t k) { return g[k] * (w[k] + (T(static_cast<int32_t>(k)) - z)); });
    add(9 + c, [=](int64_t k) { return g[k]; });
  }
}

// Gradients of `compose_affine` with respect to the numbers and the inner flow.
template <class T>
void compose_affine_backward(Size size, const T* numbers, const T* inner, const T* gradient,
                             T* number_gradient, T* inner_gradient, int threads) {
  const int64_t voxels = voxels_of(size), planes = size.batch * size.i;
  Buffer<double> sums(planes * kNumbers);
  sums.fill(planes * kNumbers, 0);
  parallel_for(planes, threads, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const int64_t b = p / size.i, i = p % size.i;
      const T* a = numbers + b * kNumbers;
      for (int64_t j = 0; j < size.j; ++j) {
        const int64_t at = 3 * b * voxels + (i * size.j + j) * size.k;
        add_number_gradients(size, inner + at, gradient + at, T(i) - T(size.i - 1) / 2,
                             T(j) - T(size.j - 1) / 2, sums.get() + p * kNumbers);
        const T* __restrict g = gradient + at;
        for (int64_t d = 0; d < 3; ++d) {
          const T a0 = a[d], a1 = a[3 + d], a2 = a[6 + d];
          const T* __restrict component = g + d * voxels;
          T* __restrict to = inner_gradient + at + d * voxels;
          for (int64_t k = 0; k < size.k; ++k)
            to[k] = component[k] + a0 * g[k] + a1 * g[k + voxels] + a2 * g[k + 2 * voxels];
        }
      }
    }
  });
  for (int64_t b = 0; b < size.batch; ++b)
    for (int64_t n = 0; n < kNumbers; ++n) {
      double sum = 0;
      for (int64_t i = 0; i < size.i; ++i) sum += sums[(b * size.i + i) * kNumbers + n];
      number_gradient[b * kNumbers + n] = static_cast<T>(sum);
    }
}

}  // namespace
