// Values and slopes of an image within the cells of a block: trilinear interpolation,
// along j, then i, then k.
#pragma once

#include "apart.h"
#include "corners.h"
#include "pairs.h"
#include "places.h"

namespace {

// Linear interpolation that is exact at both ends: the identity reproduces an image.
template <class T>
inline T between(T low, T high, T weight) {
  return (T(1) - weight) * low + weight * high;
}

// Interpolates along j and i between those corners that lie `c` steps along k.
template <class T>
inline T across(const Corners<T>& corners, int64_t c, int64_t n, T wi, T wj) {
  const auto& v = corners.value;
  return between(between(v[c][n], v[c + 2][n], wj), between(v[c + 4][n], v[c + 6][n], wj), wi);
}

// Interpolates an image at the positions of a block.
template <class T>
inline void sample(const T* image, const Steps& steps, const Places<T>& places, int64_t count,
                   T* __restrict values) {
  Corners<T> corners;
  gather(image, steps, places, count, corners);
  for (int64_t n = 0; n < count; ++n) {
    const T wi = places.weight[0][n], wj = places.weight[1][n];
    values[n] = between(across(corners, 0, n, wi, wj), across(corners, 1, n, wi, wj),
                        places.weight[2][n]);
  }
}

// Slopes of an image along i, j and k.
template <class T>
struct Slopes {
  T along[3][kBlock];
};

// Slopes along i and j between those corners that lie `c` steps along k.
template <class T>
inline T slope_i(const Corners<T>& corners, int64_t c, int64_t n, T wj) {
  const auto& v = corners.value;
  return between(v[c + 4][n] - v[c][n], v[c + 6][n] - v[c + 2][n], wj);
}
template <class T>
inline T slope_j(const Corners<T>& corners, int64_t c, int64_t n, T wi) {
  const auto& v = corners.value;
  return between(v[c + 2][n] - v[c][n], v[c + 6][n] - v[c + 4][n], wi);
}

// Slopes of the interpolated image at the positions of a block.
template <class T>
inline void sample_slopes(const T* image, const Steps& steps, const Places<T>& places,
                          int64_t count, Slopes<T>& __restrict slopes) {
  Corners<T> corners;
  gather(image, steps, places, count, corners);
  for (int64_t n = 0; n < count; ++n) {
    const T wi = places.weight[0][n], wj = places.weight[1][n], wk = places.weight[2][n];
    slopes.along[0][n] = between(slope_i(corners, 0, n, wj), slope_i(corners, 1, n, wj), wk);
    slopes.along[1][n] = between(slope_j(corners, 0, n, wi), slope_j(corners, 1, n, wi), wk);
    slopes.along[2][n] = across(corners, 1, n, wi, wj) - across(corners, 0, n, wi, wj);
  }
}

#ifdef VOLTWEEN_X86

inline Register between(Register low, Register high, Register rest, Register weight) {
  return add(multiply(rest, low), multiply(weight, high));
}

// Weights of the corners of a group's cells, for pairs: of the cell's lower planes along i
// and j, of its upper ones, and of the two neighbors along k.
struct PairWeights {
  Register lower[2], upper[2], k;
};

// The four pairs of a group's cells.
struct PairCells {
  Register near_left, near_right, far_left, far_right;
};

inline PairCells pair_cells(const float* image, const Steps& steps, const int32_t* offset) {
  const float* next = image + steps.i;
  return {pairs(image, offset), pairs(image + steps.j, offset), pairs(next, offset),
          pairs(next + steps.j, offset)};
}

// The weights of both registers of the group of voxel n.
inline void fill_pair_weights(const Places<float>& places, int64_t n, PairWeights* low,
                              PairWeights* high) {
  for (int64_t axis = 0; axis < 2; ++axis) {
    const Register weight = load_group(places.weight[axis] + n);
    low->upper[axis] = unpack_low(weight, weight);
    high->upper[axis] = unpack_high(weight, weight);
    low->lower[axis] = subtract(ones(), low->upper[axis]);
    high->lower[axis] = subtract(ones(), high->upper[axis]);
  }
  const Register weight = load_group(places.weight[2] + n), rest = subtract(ones(), weight);
  low->k = unpack_low(rest, weight);
  high->k = unpack_high(rest, weight);
}

// Interpolates along k; the arguments hold the pairs of a group.
inline Register between_pairs(Register low, Register high, const PairWeights& of_low,
                              const PairWeights& of_high) {
  const Register a = multiply(low, of_low.k), b = multiply(high, of_high.k);
  return add(firsts(a, b), seconds(a, b));
}

inline Register across(const PairCells& cells, const PairWeights& w) {
  const Register near = between(cells.near_left, cells.near_right, w.lower[1], w.upper[1]);
  const Register far = between(cells.far_left, cells.far_right, w.lower[1], w.upper[1]);
  return between(near, far, w.lower[0], w.upper[0]);
}

inline void slopes_across(const PairCells& cells, const PairWeights& w, Register* slopes) {
  slopes[0] = between(subtract(cells.far_left, cells.near_left),
                      subtract(cells.far_right, cells.near_right), w.lower[1], w.upper[1]);
  slopes[1] = between(subtract(cells.near_right, cells.near_left),
                      subtract(cells.far_right, cells.far_left), w.lower[0], w.upper[0]);
}

// The templates, for volumes of one voxel along k, which have no pairs. They are kept apart:
// within the functions below they would stand in the way of the compiler.
VOLTWEEN_APART void sample_apart(const float* image, const Steps& steps,
                                 const Places<float>& places, int64_t count, float* values) {
  sample<float>(image, steps, places, count, values);
}

VOLTWEEN_APART void sample_slopes_apart(const float* image, const Steps& steps,
                                        const Places<float>& places, int64_t count,
                                        Slopes<float>& slopes) {
  sample_slopes<float>(image, steps, places, count, slopes);
}

// As the templates, in pairs; they also fill the rest of the last group.
inline void sample(const float* image, const Steps& steps, const Places<float>& places,
                   int64_t count, float* values) {
  if (steps.k == 0) return sample_apart(image, steps, places, count, values);
  for (int64_t n = 0; n < count; n += kGroup) {
    PairWeights low, high;
    fill_pair_weights(places, n, &low, &high);
    const int32_t* offset = places.offset + n;
    const Register a = across(pair_cells(image, steps, offset), low);
    const Register b = across(pair_cells(image, steps, offset + 2), high);
    store_group(values + n, between_pairs(a, b, low, high));
  }
}

inline void sample_slopes(const float* image, const Steps& steps, const Places<float>& places,
                          int64_t count, Slopes<float>& slopes) {
  if (steps.k == 0) return sample_slopes_apart(image, steps, places, count, slopes);
  for (int64_t n = 0; n < count; n += kGroup) {
    PairWeights low, high;
    fill_pair_weights(places, n, &low, &high);
    const int32_t* offset = places.offset + n;
    const PairCells of_low = pair_cells(image, steps, offset);
    const PairCells of_high = pair_cells(image, steps, offset + 2);
    Register a[2], b[2];
    slopes_across(of_low, low, a);
    slopes_across(of_high, high, b);
    for (int64_t axis = 0; axis < 2; ++axis)
      store_group(slopes.along[axis] + n, between_pairs(a[axis], b[axis], low, high));
    const Register c = across(of_low, low), d = across(of_high, high);
    store_group(slopes.along[2] + n, subtract(seconds(c, d), firsts(c, d)));
  }
}

#endif

}  // namespace
