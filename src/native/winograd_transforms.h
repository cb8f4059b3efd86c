// The transforms of Winograd's minimal filtering (Lavin and Gray, CVPR 2016): `outputs`
// neighboring outputs of a filter of points - outputs + 1 taps take `points` products per
// axis. With 3 points (0, 1, infinity) or 4 (0, 1, -1, infinity) the transforms consist of
// additions alone, and that of the inputs depends on the number of points only.
#pragma once

#include "vectors.h"

#ifdef VOLTWEEN_VECTORS

namespace {

inline void transform_inputs(Vector (&x)[3]) {
  x[0] = x[0] - x[1];
  x[2] = x[2] - x[1];
}

inline void transform_inputs(Vector (&x)[4]) {
  const Vector a = x[1], b = x[2];
  x[0] = x[0] - b;
  x[1] = a + b;
  x[2] = b - a;
  x[3] = a - x[3];
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

// Transforms a vector of channels of a tile of points^3 voxels, given by their addresses.
// Position p of the result is at to + p * step. Load(address) reads a vector.
template <int points, class Load>
inline void transform_tile(const float* const* voxels, const Load& load_channels, float* to,
                           int64_t step) {
  constexpr int plane = points * points;
  Vector half[points][plane];
  VOLTWEEN_UNROLL
  for (int i = 0; i < points; ++i) {
    Vector x[points][points];
    VOLTWEEN_UNROLL
    for (int j = 0; j < points; ++j) {
      VOLTWEEN_UNROLL
      for (int k = 0; k < points; ++k)
        x[j][k] = load_channels(voxels[i * plane + j * points + k]);
      transform_inputs(x[j]);
    }
    VOLTWEEN_UNROLL
    for (int k = 0; k < points; ++k) {
      Vector line[points];
      VOLTWEEN_UNROLL
      for (int j = 0; j < points; ++j) line[j] = x[j][k];
      transform_inputs(line);
      VOLTWEEN_UNROLL
      for (int j = 0; j < points; ++j) half[i][j * points + k] = line[j];
    }
  }
  VOLTWEEN_UNROLL
  for (int jk = 0; jk < plane; ++jk) {
    Vector line[points];
    VOLTWEEN_UNROLL
    for (int i = 0; i < points; ++i) line[i] = half[i][jk];
    transform_inputs(line);
    VOLTWEEN_UNROLL
    for (int i = 0; i < points; ++i) store(line[i], to + (i * plane + jk) * step);
  }
}

// Transforms a vector of channels of the products of a tile; position p is at from + p *
// step. Calls place(i, j, k, value) for each of the outputs^3 voxels.
template <int points, int outputs, class Place>
inline void transform_back(const float* from, int64_t step, const Place& place) {
  constexpr int plane = outputs * outputs;
  Vector half[points][plane];
  VOLTWEEN_UNROLL
  for (int i = 0; i < points; ++i) {
    Vector x[outputs][points];  // k is transformed last
    VOLTWEEN_UNROLL
    for (int k = 0; k < points; ++k) {
      Vector line[points], result[outputs];
      VOLTWEEN_UNROLL
      for (int j = 0; j < points; ++j)
        line[j] = load(from + ((i * points + j) * points + k) * step);
      transform_products(line, result);
      VOLTWEEN_UNROLL
      for (int j = 0; j < outputs; ++j) x[j][k] = result[j];
    }
    VOLTWEEN_UNROLL
    for (int j = 0; j < outputs; ++j) {
      Vector result[outputs];
      transform_products(x[j], result);
      VOLTWEEN_UNROLL
      for (int k = 0; k < outputs; ++k) half[i][j * outputs + k] = result[k];
    }
  }
  VOLTWEEN_UNROLL
  for (int jk = 0; jk < plane; ++jk) {
    Vector line[points], result[outputs];
    VOLTWEEN_UNROLL
    for (int i = 0; i < points; ++i) line[i] = half[i][jk];
    transform_products(line, result);
    VOLTWEEN_UNROLL
    for (int i = 0; i < outputs; ++i) place(i, jk / outputs, jk % outputs, result[i]);
  }
}

}  // namespace

#endif
