// Trilinear interpolation at x + flow(x). A point beyond the grid is first moved to the
// nearest point of the grid (paper III-A). Where the flow is not a number, so is the
// result; an infinite flow samples the border.
#pragma once

#include <cmath>

#ifdef VOLTWEEN_X86
#include <xmmintrin.h>
#endif

#include "parallel.h"
#include "size.h"

namespace {

using voltween::Size;

constexpr int64_t kBlock = 128;          // voxels of a row that are located at once
constexpr int64_t kPlanesAhead = 8;      // measured: flows usually reach no farther
constexpr int64_t kFewVoxels = 1 << 14;  // below this, threads cost more than they save

inline int useful_threads(const Size& size, int threads) {
  return size.batch * voxels_of(size) < kFewVoxels ? 1 : threads;
}

// Steps in memory to the next voxel along each axis; 0 along an axis of one voxel.
struct Steps {
  int32_t i, j, k;
  explicit Steps(const Size& size)
      : i(size.i > 1 ? static_cast<int32_t>(plane_of(size)) : 0),
        j(size.j > 1 ? static_cast<int32_t>(size.k) : 0),
        k(size.k > 1 ? 1 : 0) {}
};

// The sampling positions of a block of voxels: the first corner of the cell along each
// axis, the distance from it (0 to 1), and the offset of that corner in memory.
template <class T>
struct Places {
  T cell[3][kBlock];
  T weight[3][kBlock];
  int32_t offset[kBlock];
};

// Locates the positions start + step n + flow[n] along one axis. They are split into cell
// and weight without rounding.
template <class T>
inline void locate_axis(const T* __restrict flow, T start, T step, int64_t count,
                        int64_t voxels, T* __restrict cell, T* __restrict weight) {
  const T last = static_cast<T>(voxels - 2);
  const T largest_cell = voxels > 2 ? last : T(0);
  for (int32_t n = 0; n < count; ++n) {
    const T whole = std::floor(flow[n]);
    const T lower = whole + (start + step * static_cast<T>(n));
    T w = flow[n] - whole;
    w = lower < 0 ? T(0) : w;
    w = lower > last ? T(1) : w;
    weight[n] = w;
    T c = lower > 0 ? lower : T(0);  // also where it is not a number
    cell[n] = c < largest_cell ? c : largest_cell;
  }
}

template <class T>
inline void locate(const Size& size, const Steps& steps, const T* flow, int64_t i, int64_t j,
                   int64_t k, int64_t count, Places<T>& places) {
  const T* here = flow + (i * size.j + j) * size.k + k;
  const int64_t voxels = voxels_of(size);
  locate_axis(here, T(i), T(0), count, size.i, places.cell[0], places.weight[0]);
  locate_axis(here + voxels, T(j), T(0), count, size.j, places.cell[1], places.weight[1]);
  locate_axis(here + 2 * voxels, T(k), T(1), count, size.k, places.cell[2], places.weight[2]);
  for (int64_t n = 0; n < count; ++n)
    places.offset[n] = static_cast<int32_t>(places.cell[0][n]) * steps.i +
                       static_cast<int32_t>(places.cell[1][n]) * steps.j +
                       static_cast<int32_t>(places.cell[2][n]);
}

// Linear interpolation that is exact at both ends: the identity reproduces an image.
template <class T>
inline T between(T low, T high, T weight) {
  return (T(1) - weight) * low + weight * high;
}

// Values at the eight corners of each cell of a block. Corner 4 a + 2 b + c lies a steps
// along i, b along j and c along k from the first.
template <class T>
struct Corners {
  T value[8][kBlock];
};

template <class T>
inline void gather_from(int64_t first, const T* __restrict image, const Steps& steps,
                        const Places<T>& __restrict places, int64_t count,
                        Corners<T>& __restrict corners) {
  for (int64_t n = first; n < count; ++n) {
    const T* corner = image + places.offset[n];
    const T* next = corner + steps.i;
    corners.value[0][n] = corner[0];
    corners.value[1][n] = corner[steps.k];
    corners.value[2][n] = corner[steps.j];
    corners.value[3][n] = corner[steps.j + steps.k];
    corners.value[4][n] = next[0];
    corners.value[5][n] = next[steps.k];
    corners.value[6][n] = next[steps.j];
    corners.value[7][n] = next[steps.j + steps.k];
  }
}

template <class T>
inline void gather(const T* image, const Steps& steps, const Places<T>& places, int64_t count,
                   Corners<T>& corners) {
  gather_from(0, image, steps, places, count, corners);
}

#if defined(VOLTWEEN_X86) && !defined(__AVX512F__)
// Neighbors along k are adjacent in memory. Loading them in pairs and transposing the pairs
// of four voxels at once is twice as fast as the gather instructions of AVX2.
inline void gather(const float* image, const Steps& steps, const Places<float>& places,
                   int64_t count, Corners<float>& corners) {
  const auto pairs = [&](const float* at) {
    const __m128 first = _mm_loadl_pi(_mm_setzero_ps(), reinterpret_cast<const __m64*>(at));
    return _mm_loadh_pi(first, reinterpret_cast<const __m64*>(at + steps.j));
  };
  int64_t n = 0;
  for (; steps.k == 1 && n + 4 <= count; n += 4)
    for (int64_t half = 0; half < 2; ++half) {
      const float* plane = image + half * steps.i;
      __m128 a = pairs(plane + places.offset[n]), b = pairs(plane + places.offset[n + 1]);
      __m128 c = pairs(plane + places.offset[n + 2]), d = pairs(plane + places.offset[n + 3]);
      _MM_TRANSPOSE4_PS(a, b, c, d);
      _mm_storeu_ps(corners.value[4 * half] + n, a);
      _mm_storeu_ps(corners.value[4 * half + 1] + n, b);
      _mm_storeu_ps(corners.value[4 * half + 2] + n, c);
      _mm_storeu_ps(corners.value[4 * half + 3] + n, d);
    }
  gather_from(n, image, steps, places, count, corners);
}
#endif

// Prefetches the values that later planes will read. A processor cannot predict the order
// in which a warp reads, and large volumes do not fit into its caches: without prefetching
// it mostly waits.
template <class T>
inline void fetch_ahead(const Size& size, const T* volume, int64_t i, int64_t j, int64_t k,
                        int64_t count) {
  const int64_t plane = i + kPlanesAhead < size.i ? i + kPlanesAhead : size.i - 1;
  const T* row = volume + (plane * size.j + j) * size.k + k;
  constexpr int64_t step = 64 / sizeof(T);  // numbers per cache line
  for (int64_t n = 0; n < count; n += step) {
#if defined(__GNUC__)
    __builtin_prefetch(row + n);
#elif defined(VOLTWEEN_X86)
    _mm_prefetch(reinterpret_cast<const char*>(row + n), _MM_HINT_T1);
#endif
  }
}

// Interpolates an image at the positions of a block.
template <class T>
inline void sample(const T* image, const Steps& steps, const Places<T>& places, int64_t count,
                   T* __restrict values) {
  Corners<T> corners;
  gather(image, steps, places, count, corners);
  const auto& v = corners.value;
  for (int64_t n = 0; n < count; ++n) {
    const T wi = places.weight[0][n], wj = places.weight[1][n], wk = places.weight[2][n];
    const T low = between(between(v[0][n], v[1][n], wk), between(v[2][n], v[3][n], wk), wj);
    const T high = between(between(v[4][n], v[5][n], wk), between(v[6][n], v[7][n], wk), wj);
    values[n] = between(low, high, wi);
  }
}

// Calls body(b, i, j, k, count, places) for every block of every row.
template <class T, class Body>
inline void for_blocks(const Size& size, const T* flow, int threads, const Body& body) {
  const Steps steps(size);
  const int64_t rows = size.i * size.j;
  parallel_for(size.batch * rows, threads, [&](int64_t begin, int64_t end) {
    Places<T> places;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t b = row / rows, i = row % rows / size.j, j = row % size.j;
      for (int64_t k = 0; k < size.k; k += kBlock) {
        const int64_t count = size.k - k < kBlock ? size.k - k : kBlock;
        locate(size, steps, flow + 3 * b * voxels_of(size), i, j, k, count, places);
        body(b, i, j, k, count, places);
      }
    }
  });
}

// Image at x + flow(x), plus flow(x) if `is_composition`.
template <class T>
void warp(Size size, const T* image, const T* flow, bool is_composition, T* moved,
          int threads) {
  const Steps steps(size);
  const int64_t voxels = voxels_of(size);
  for_blocks(
      size, flow, useful_threads(size, threads),
      [&](int64_t b, int64_t i, int64_t j, int64_t k, int64_t count, const Places<T>& places) {
        const int64_t here = (i * size.j + j) * size.k + k;
        for (int64_t c = 0; c < size.channels; ++c) {
          const int64_t volume = (b * size.channels + c) * voxels;
          T* values = moved + volume + here;
          fetch_ahead(size, image + volume, i, j, k, count);
          sample(image + volume, steps, places, count, values);
          if (!is_composition) continue;
          const T* inner = flow + volume + here;
          for (int64_t n = 0; n < count; ++n) values[n] += inner[n];
        }
      });
}

// Derivative of the position, moved into the grid, with respect to the flow: 0 where it
// lies on or beyond the border, else 1.
template <class T>
inline T slope(T cell, T weight, T largest_cell) {
  const bool is_low = cell == 0 && weight == 0;
  const bool is_high = cell == largest_cell && weight == 1;
  return is_low || is_high ? T(0) : T(1);
}

// Adds one channel's gradient with respect to the flow, without the factor `slope`.
template <class T>
void add_flow_gradient(const T* image, const Steps& steps, const Places<T>& places,
                       int64_t count, const T* __restrict gradient,
                       T (*__restrict sums)[kBlock]) {
  Corners<T> corners;
  gather(image, steps, places, count, corners);
  const auto& v = corners.value;
  for (int64_t n = 0; n < count; ++n) {
    const T wi = places.weight[0][n], wj = places.weight[1][n], wk = places.weight[2][n];
    const T v00 = between(v[0][n], v[1][n], wk), v01 = between(v[2][n], v[3][n], wk);
    const T v10 = between(v[4][n], v[5][n], wk), v11 = between(v[6][n], v[7][n], wk);
    const T low = between(v[1][n] - v[0][n], v[3][n] - v[2][n], wj);
    const T high = between(v[5][n] - v[4][n], v[7][n] - v[6][n], wj);
    sums[0][n] += gradient[n] * between(v10 - v00, v11 - v01, wj);
    sums[1][n] += gradient[n] * between(v01 - v00, v11 - v10, wi);
    sums[2][n] += gradient[n] * between(low, high, wi);
  }
}

// Gradient of `warp` with respect to the flow.
template <class T>
void warp_flow_gradient(const Size& size, const T* image, const T* flow, const T* gradient,
                        bool is_composition, T* flow_gradient, int threads) {
  const Steps steps(size);
  const int64_t voxels = voxels_of(size);
  const int64_t sides[3] = {size.i, size.j, size.k};
  for_blocks(
      size, flow, threads,
      [&](int64_t b, int64_t i, int64_t j, int64_t k, int64_t count, const Places<T>& places) {
        const int64_t here = (i * size.j + j) * size.k + k;
        T sums[3][kBlock] = {};
        for (int64_t c = 0; c < size.channels; ++c) {
          const int64_t volume = (b * size.channels + c) * voxels;
          fetch_ahead(size, image + volume, i, j, k, count);
          add_flow_gradient(image + volume, steps, places, count, gradient + volume + here,
                            sums);
        }
        for (int64_t axis = 0; axis < 3; ++axis) {
          const int64_t at = (3 * b + axis) * voxels + here;
          const T largest = static_cast<T>(sides[axis] > 2 ? sides[axis] - 2 : 0);
          for (int64_t n = 0; n < count; ++n) {
            const T change =
                sums[axis][n] * slope(places.cell[axis][n], places.weight[axis][n], largest);
            flow_gradient[at + n] = is_composition ? change + gradient[at + n] : change;
          }
        }
      });
}

// Adds `value` times the trilinear weights to the corners in the cell's lower plane (if
// `has_low`) and upper plane (if `has_high`).
template <class T>
inline void scatter(T* image_gradient, const Steps& steps, const Places<T>& places, int64_t n,
                    bool has_low, bool has_high, T value) {
  const T wi = places.weight[0][n], wj = places.weight[1][n], wk = places.weight[2][n];
  const T weights[4] = {(1 - wj) * (1 - wk), (1 - wj) * wk, wj * (1 - wk), wj * wk};
  const int32_t at[4] = {0, steps.k, steps.j, steps.j + steps.k};
  T* corner = image_gradient + places.offset[n];
  if (has_low)
    for (int64_t c = 0; c < 4; ++c) corner[at[c]] += value * (1 - wi) * weights[c];
  corner += steps.i;
  if (has_high)
    for (int64_t c = 0; c < 4; ++c) corner[at[c]] += value * wi * weights[c];
}

// Gradient with respect to the image in planes first .. last - 1. Each thread owns some
// planes and searches the whole flow for positions in them. So no two threads write to one
// voxel, and the order of additions, hence the result to the last bit, does not depend on
// the number of threads.
template <class T>
void scatter_to_planes(const Size& size, const T* flow, const T* gradient, int64_t first,
                       int64_t last, T* image_gradient) {
  const Steps steps(size);
  const int64_t voxels = voxels_of(size), step = steps.i == 0 ? 0 : 1;
  Places<T> places;
  for (int64_t row = 0; row < size.i * size.j; ++row) {
    const int64_t i = row / size.j, j = row % size.j;
    for (int64_t k = 0; k < size.k; k += kBlock) {
      const int64_t count = size.k - k < kBlock ? size.k - k : kBlock;
      const int64_t here = row * size.k + k;
      locate_axis(flow + here, T(i), T(0), count, size.i, places.cell[0], places.weight[0]);
      bool is_wanted = false;
      for (int64_t n = 0; n < count; ++n) {
        const T cell = places.cell[0][n];
        is_wanted |=
            cell + static_cast<T>(step) >= static_cast<T>(first) && cell < static_cast<T>(last);
      }
      if (!is_wanted) continue;
      locate(size, steps, flow, i, j, k, count, places);
      for (int64_t n = 0; n < count; ++n) {
        const int64_t cell = static_cast<int64_t>(places.cell[0][n]);
        const bool has_low = cell >= first && cell < last;
        const bool has_high = cell + step >= first && cell + step < last;
        if (!has_low && !has_high) continue;
        for (int64_t c = 0; c < size.channels; ++c)
          scatter(image_gradient + c * voxels, steps, places, n, has_low, has_high,
                  gradient[c * voxels + here + n]);
      }
    }
  }
}

// Gradient of `warp` with respect to the image.
template <class T>
void warp_image_gradient(const Size& size, const T* flow, const T* gradient, T* image_gradient,
                         int threads) {
  const int64_t voxels = voxels_of(size);
  parallel_for(size.batch * size.i, threads, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin / size.i; b * size.i < end; ++b) {
      const int64_t first = begin > b * size.i ? begin - b * size.i : 0;
      const int64_t last = end < (b + 1) * size.i ? end - b * size.i : size.i;
      T* item = image_gradient + b * size.channels * voxels;
      for (int64_t c = 0; c < size.channels; ++c)
        for (int64_t n = first * plane_of(size); n < last * plane_of(size); ++n)
          item[c * voxels + n] = 0;
      scatter_to_planes(size, flow + 3 * b * voxels, gradient + b * size.channels * voxels,
                        first, last, item);
    }
  });
}

// Both gradients of `warp`; null where not wanted.
template <class T>
void warp_backward(Size size, const T* image, const T* flow, const T* gradient,
                   bool is_composition, T* image_gradient, T* flow_gradient, int threads) {
  threads = useful_threads(size, threads);
  if (flow_gradient != nullptr)
    warp_flow_gradient(size, image, flow, gradient, is_composition, flow_gradient, threads);
  if (image_gradient != nullptr)
    warp_image_gradient(size, flow, gradient, image_gradient, threads);
}

}  // namespace
