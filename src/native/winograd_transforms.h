// The transforms of Winograd's minimal filtering (Lavin and Gray, CVPR 2016): `outputs`
// neighboring outputs of a filter of points - outputs + 1 taps take `points` products per
// axis. With 3 points (0, 1, infinity) or 4 (0, 1, -1, infinity) the transforms consist of
// additions alone, and that of the inputs depends on the number of points only.
#pragma once

#include "vectors.h"

#ifdef VOLTWEEN_VECTORS

namespace {

inline void transform_inputs(const Vector (&x)[3], Vector (&y)[3]) {
  y[0] = x[0] - x[1];
  y[1] = x[1];
  y[2] = x[2] - x[1];
}

inline void transform_inputs(const Vector (&x)[4], Vector (&y)[4]) {
  y[0] = x[0] - x[2];
  y[1] = x[1] + x[2];
  y[2] = x[2] - x[1];
  y[3] = x[1] - x[3];
}

// F(2, 2)
inline void transform_products(const Vector (&x)[3], Vector (&y)[2]) {
  y[0] = x[0] + x[1];
  y[1] = x[1] + x[2];
}

// F(2, 3)
inline void transform_products(const Vector (&x)[4], Vector (&y)[2]) {
  y[0] = x[0] + x[1] + x[2];
  y[1] = x[1] - x[2] - x[3];
}

// F(3, 2)
inline void transform_products(const Vector (&x)[4], Vector (&y)[3]) {
  const Vector sum = x[1] + x[2];
  y[0] = x[0] + sum;
  y[1] = x[1] - x[2];
  y[2] = sum - x[3];
}

// The gradient of the weights sums products of transformed inputs and transformed gradients
// of the outputs. The latter's transform is the transpose of `transform_products`.
inline void transform_gradients(const Vector (&x)[2], Vector (&y)[4]) {
  y[0] = x[0];
  y[1] = x[0] + x[1];
  y[2] = x[0] - x[1];
  y[3] = zeros() - x[1];
}

inline void transform_gradients(const Vector (&x)[3], Vector (&y)[4]) {
  const Vector sum = x[0] + x[2];
  y[0] = x[0];
  y[1] = sum + x[1];
  y[2] = sum - x[1];
  y[3] = zeros() - x[2];
}

// Transforms the sums of these products to the gradient of the taps: the transpose of the
// transform of the weights.
inline void transform_sums(const Vector (&x)[4], Vector (&y)[2]) {
  const Vector half = broadcast(0.5f);
  y[0] = x[0] + half * (x[1] + x[2]);
  y[1] = half * (x[1] - x[2]) + x[3];
}

inline void transform_sums(const Vector (&x)[4], Vector (&y)[3]) {
  const Vector half = broadcast(0.5f);
  const Vector mean = half * (x[1] + x[2]);
  y[0] = x[0] + mean;
  y[1] = half * (x[1] - x[2]);
  y[2] = mean + x[3];
}

// Transforms a cube of from^3 vectors to one of to^3, axis by axis. Calls load_at(i, j, k)
// for every vector of the former and place(i, j, k, vector) for every one of the latter.
template <int from, int to, class Load, class Axis, class Place>
inline void transform_cube(const Load& load_at, const Axis& transform_axis,
                           const Place& place) {
  Vector half[from][to * to];
  VOLTWEEN_UNROLL
  for (int i = 0; i < from; ++i) {
    Vector x[to][from];  // k is transformed after j, and i last
    VOLTWEEN_UNROLL
    for (int k = 0; k < from; ++k) {
      Vector line[from], result[to];
      VOLTWEEN_UNROLL
      for (int j = 0; j < from; ++j) line[j] = load_at(i, j, k);
      transform_axis(line, result);
      VOLTWEEN_UNROLL
      for (int j = 0; j < to; ++j) x[j][k] = result[j];
    }
    VOLTWEEN_UNROLL
    for (int j = 0; j < to; ++j) {
      Vector result[to];
      transform_axis(x[j], result);
      VOLTWEEN_UNROLL
      for (int k = 0; k < to; ++k) half[i][j * to + k] = result[k];
    }
  }
  VOLTWEEN_UNROLL
  for (int jk = 0; jk < to * to; ++jk) {
    Vector line[from], result[to];
    VOLTWEEN_UNROLL
    for (int i = 0; i < from; ++i) line[i] = half[i][jk];
    transform_axis(line, result);
    VOLTWEEN_UNROLL
    for (int i = 0; i < to; ++i) place(i, jk / to, jk % to, result[i]);
  }
}

// Transforms a vector of channels of a tile of points^3 voxels, given by their addresses.
// Position p of the result is at to + p * step. Load(address) reads a vector.
template <int points, class Load>
inline void transform_tile(const float* const* voxels, const Load& load_channels, float* to,
                           int64_t step) {
  transform_cube<points, points>(
      [&](int i, int j, int k) { return load_channels(voxels[(i * points + j) * points + k]); },
      [](const auto& x, auto& y) { transform_inputs(x, y); },
      [&](int i, int j, int k, Vector value) {
        store(value, to + ((i * points + j) * points + k) * step);
      });
}

// The same of a tile of gradients of outputs^3 voxels.
template <int points, int outputs, class Load>
inline void transform_gradient_tile(const float* const* voxels, const Load& load_channels,
                                    float* to, int64_t step) {
  transform_cube<outputs, points>(
      [&](int i, int j, int k) {
        return load_channels(voxels[(i * outputs + j) * outputs + k]);
      },
      [](const auto& x, auto& y) { transform_gradients(x, y); },
      [&](int i, int j, int k, Vector value) {
        store(value, to + ((i * points + j) * points + k) * step);
      });
}

// Transforms a vector of channels of the products of a tile; position p is at from + p *
// step. Calls place(i, j, k, value) for each of the outputs^3 voxels.
template <int points, int outputs, class Place>
inline void transform_back(const float* from, int64_t step, const Place& place) {
  transform_cube<points, outputs>(
      [&](int i, int j, int k) { return load(from + ((i * points + j) * points + k) * step); },
      [](const auto& x, auto& y) { transform_products(x, y); }, place);
}

// The same of sums of products, to the gradient of taps^3 taps.
template <int points, int taps, class Place>
inline void transform_to_taps(const float* from, int64_t step, const Place& place) {
  transform_cube<points, taps>(
      [&](int i, int j, int k) { return load(from + ((i * points + j) * points + k) * step); },
      [](const auto& x, auto& y) { transform_sums(x, y); }, place);
}

}  // namespace

#endif
