// Kernel sums for entropies (eq. 17), over all pairs of points. The matrix of pairs is
// never stored.
#pragma once

#include <cmath>

#include "bits.h"
#include "lanes.h"
#include "parallel.h"
#include "size.h"

namespace {

using voltween::PointsSize;

// exp(x) for x <= 0, accurate to the last bits of single precision. It is plain
// arithmetic because compilers vectorize that, and do not vectorize std::exp.
inline float exponential(float x) {
  x = x > -87.0f ? x : -87.0f;
  const float power = x * 1.44269504f;
  const float whole = static_cast<float>(static_cast<int32_t>(power - 0.5f));
  const float rest = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
  float value = 1.0f / 5040;
  value = value * rest + 1.0f / 720;
  value = value * rest + 1.0f / 120;
  value = value * rest + 1.0f / 24;
  value = value * rest + 1.0f / 6;
  value = value * rest + 0.5f;
  value = value * rest + 1.0f;
  value = value * rest + 1.0f;
  const float two_to_whole = bits_as<float>((static_cast<int32_t>(whole) + 127) << 23);
  return value * two_to_whole;
}

inline double exponential(double x) { return std::exp(x); }

constexpr int64_t kPoints = 256;  // points whose kernel values are held at once

// Fills `kernel` with exp(-sharpness |x(a) - x(b)|) for b = first .. first + count - 1.
// |.| sums over the dimensions, so the kernel of two variables is the product of the
// kernels of each.
template <class T>
inline void fill_kernel(PointsSize size, const T* points, T sharpness, int64_t a, int64_t first,
                        int64_t count, T* kernel) {
  for (int64_t b = 0; b < count; ++b) kernel[b] = 0;
  for (int64_t d = 0; d < size.dimensions; ++d) {
    const T* x = points + d * size.count;
    const T here = x[a];
    for (int64_t b = 0; b < count; ++b) {
      const T difference = x[first + b] - here;
      kernel[b] -= sharpness * (difference < 0 ? -difference : difference);
    }
  }
  for (int64_t b = 0; b < count; ++b) kernel[b] = exponential(kernel[b]);
}

// Sums over all points b of exp(-sharpness |x(a) - x(b)|), for every point a.
template <class T>
void kernel_sums(PointsSize size, const T* points, double sharpness, T* sums, int threads) {
  parallel_for(size.count, threads, [&](int64_t begin, int64_t end) {
    T kernel[kPoints];
    for (int64_t a = begin; a < end; ++a) {
      double total = 0;
      for (int64_t first = 0; first < size.count; first += kPoints) {
        const int64_t count = size.count - first < kPoints ? size.count - first : kPoints;
        fill_kernel(size, points, T(sharpness), a, first, count, kernel);
        total += sum_in_lanes<T>(count, [&](int64_t b) { return kernel[b]; });
      }
      sums[a] = static_cast<T>(total);
    }
  });
}

// Gradient of `kernel_sums` with respect to the points.
template <class T>
void kernel_sums_backward(PointsSize size, const T* points, double sharpness, const T* gradient,
                          T* point_gradient, int threads) {
  parallel_for(size.count, threads, [&](int64_t begin, int64_t end) {
    T kernel[kPoints];
    for (int64_t a = begin; a < end; ++a) {
      for (int64_t d = 0; d < size.dimensions; ++d) point_gradient[d * size.count + a] = 0;
      for (int64_t first = 0; first < size.count; first += kPoints) {
        const int64_t count = size.count - first < kPoints ? size.count - first : kPoints;
        fill_kernel(size, points, T(sharpness), a, first, count, kernel);
        for (int64_t d = 0; d < size.dimensions; ++d) {
          const T* x = points + d * size.count;
          const T here = x[a], gradient_here = gradient[a];
          const T sum = sum_in_lanes<T>(count, [&](int64_t b) {
            const T other = x[first + b];
            const T pull = kernel[b] * (gradient_here + gradient[first + b]);
            return other > here ? pull : other < here ? -pull : T(0);
          });
          point_gradient[d * size.count + a] += T(sharpness) * sum;
        }
      }
    }
  });
}

}  // namespace
