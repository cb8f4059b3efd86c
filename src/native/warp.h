// Trilinear interpolation at x + flow(x). A point beyond the grid is first moved to the
// nearest point of the grid (paper III-A). Where the flow is not a number, so is the
// result; an infinite flow samples the border.
#pragma once

#include "cells.h"
#include "parallel.h"
#include "places.h"
#include "size.h"

namespace {

using voltween::Size;

constexpr int64_t kPlanesAhead = 8;      // measured: flows usually reach no farther
constexpr int64_t kFewVoxels = 1 << 14;  // below this, threads cost more than they save

inline int useful_threads(const Size& size, int threads) {
  return size.batch * voxels_of(size) < kFewVoxels ? 1 : threads;
}

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
        T sampled[kBlock];
        for (int64_t c = 0; c < size.channels; ++c) {
          const int64_t volume = (b * size.channels + c) * voxels;
          T* values = moved + volume + here;
          fetch_ahead(size, image + volume, i, j, k, count);
          sample(image + volume, steps, places, count, sampled);
          const T* inner = is_composition ? flow + volume + here : nullptr;
          for (int64_t n = 0; n < count; ++n)
            values[n] = inner == nullptr ? sampled[n] : sampled[n] + inner[n];
        }
      });
}

// Derivative of the position, moved into the grid, with respect to the flow: 0 where it
// lies on or beyond the border, else 1.
template <class T>
inline T slope(T cell, T weight, T largest_cell) {
  // Selections, no branches: compilers work on several voxels at once.
  const T from_low = cell == 0 ? weight : T(1);
  const T from_high = cell == largest_cell ? T(1) - weight : T(1);
  const T result = from_low == 0 ? T(0) : T(1);
  return from_high == 0 ? T(0) : result;
}

// Adds one channel's gradient with respect to the flow, without the factor `slope`.
template <class T>
void add_flow_gradient(const T* image, const Steps& steps, const Places<T>& places,
                       int64_t count, const T* __restrict gradient,
                       T (*__restrict sums)[kBlock]) {
  Slopes<T> slopes;
  sample_slopes(image, steps, places, count, slopes);
  for (int64_t axis = 0; axis < 3; ++axis)
    for (int64_t n = 0; n < count; ++n) sums[axis][n] += gradient[n] * slopes.along[axis][n];
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
          T* __restrict change = sums[axis];
          for (int64_t n = 0; n < count; ++n)
            change[n] *= slope(places.cell[axis][n], places.weight[axis][n], largest);
          if (is_composition)
            for (int64_t n = 0; n < count; ++n) change[n] += gradient[at + n];
          for (int64_t n = 0; n < count; ++n) flow_gradient[at + n] = change[n];
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
