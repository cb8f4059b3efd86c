// The inverse of a field of displacements, at all voxels of its grid.
#pragma once

#include <cmath>

#include "flow_reading.h"
#include "inversion.h"
#include "parallel.h"

namespace {

// Most voxels are solved by one Newton step from a good start, and one more step with the
// same derivative; the last ones of these steps are for steep fields.
constexpr int64_t kNewtonSteps = 9;

// What the inverse is computed from, and where it is written.
struct FieldInverse {
  const Flow& flow;
  const Chain& chain;     // the field alone, from voxels to voxels
  const double* vectors;  // of the field at the voxels, (i, j, k, 3)
  const double* to_mm;    // from voxels to the unit of the vectors, three rows of three
  double tolerance;       // in voxels
  int64_t iterations;     // for voxels that Newton steps do not solve
  double* result;         // (i, j, k, 3), in the unit of the vectors
  float* residuals;       // (i, j, k), in that unit
};

// Voxels of a column that are solved together, each one from its neighbor before it.
struct Column {
  Lanes lanes;
  int64_t count;
  float error[3][kLanes];       // v + u(y + v), in voxels
  float squared_error[kLanes];  // its squared length
  float inverse[3][3][kLanes];  // of the derivative of y + u(y), row by row
};

inline const Step& field_of(const FieldInverse& of) { return of.chain.steps[0]; }

inline int64_t voxel_of(const FieldInverse& of, const Column& column, int64_t r) {
  const Shape& shape = of.flow.shape();
  const int64_t* y = column.lanes.first;
  return (y[0] * shape.j + y[1] + r) * shape.k + y[2];
}

// Moves on to the next voxel along the last axis: as the derivative there says it from the
// solution before it, or else, the negated displacement of the voxel itself.
inline void predict(const FieldInverse& of, float tolerance, Column& column) {
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t r = 0; r < kLanes; ++r)
      column.lanes.v[c][r] += column.inverse[c][2][r] - (c == 2);
  for (int64_t r = 0; r < column.count; ++r) {
    if (column.squared_error[r] <= tolerance) continue;
    double u[3];
    multiply(field_of(of).to_voxels, of.vectors + 3 * voxel_of(of, column, r), u);
    for (int64_t c = 0; c < 3; ++c) column.lanes.v[c][r] = static_cast<float>(-u[c]);
  }
}

inline void measure_errors(Column& column) {
  for (int64_t r = 0; r < kLanes; ++r) {
    float sum = 0;
    for (int64_t c = 0; c < 3; ++c) {
      const float error = column.lanes.v[c][r] + column.lanes.u[r][0][c];
      column.error[c][r] = error;
      sum += error * error;
    }
    column.squared_error[r] = sum;
  }
}

// Inverts the derivatives that were read; where the field folds, the identity.
inline void invert_derivatives(Column& column) {
  for (int64_t r = 0; r < kLanes; ++r) {
    float m[3][3], cross[3][3];  // rows of m: columns of the derivative
    for (int64_t a = 0; a < 3; ++a)
      for (int64_t c = 0; c < 3; ++c) m[a][c] = column.lanes.u[r][1 + a][c] + (a == c);
    for (int64_t a = 0; a < 3; ++a) {
      const float *u = m[(a + 1) % 3], *v = m[(a + 2) % 3];
      for (int64_t c = 0; c < 3; ++c)
        cross[a][c] = u[(c + 1) % 3] * v[(c + 2) % 3] - u[(c + 2) % 3] * v[(c + 1) % 3];
    }
    const float determinant =
        m[0][0] * cross[0][0] + m[0][1] * cross[0][1] + m[0][2] * cross[0][2];
    const bool folds = !(determinant > static_cast<float>(kSmallestDeterminant));
    const float scale = 1 / (folds ? 1 : determinant);
    for (int64_t a = 0; a < 3; ++a)
      for (int64_t c = 0; c < 3; ++c)
        column.inverse[a][c][r] = folds ? static_cast<float>(a == c) : scale * cross[a][c];
  }
}

template <bool is_spline>
inline void read_all(const Flow& flow, Column& column) {
  place_lanes<is_spline>(flow, column.lanes);
  for (int64_t r = 0; r < column.count; ++r) read_lane<true>(flow, column.lanes, r);
  measure_errors(column);
  invert_derivatives(column);
}

// Takes a Newton step at the voxels whose error is too large. Returns whether there were
// some. The first step's derivative serves the second one, too.
template <bool is_spline>
inline bool improve_lanes(const Flow& flow, float tolerance, bool is_first, Column& column) {
  int64_t voxels[kLanes], count = 0;
  for (int64_t r = 0; r < column.count; ++r) {
    voxels[count] = r;
    count += !(column.squared_error[r] <= tolerance);
  }
  if (count == 0) return false;
  for (int64_t r = 0; r < kLanes; ++r)
    for (int64_t c = 0; c < 3; ++c) {
      float step = 0;
      for (int64_t a = 0; a < 3; ++a) step += column.inverse[c][a][r] * column.error[a][r];
      column.lanes.v[c][r] -= column.squared_error[r] <= tolerance ? 0 : step;
    }
  place_lanes<is_spline>(flow, column.lanes);
  for (int64_t n = 0; n < count; ++n)
    is_first ? read_lane<false>(flow, column.lanes, voxels[n])
             : read_lane<true>(flow, column.lanes, voxels[n]);
  measure_errors(column);
  if (!is_first) invert_derivatives(column);
  return true;
}

// Solves a voxel for itself in double precision. Its neighbor starts anew if that fails,
// or else from the same displacement.
inline void solve_alone(const FieldInverse& of, float tolerance, int64_t r, Column& column) {
  const int64_t* first = column.lanes.first;
  const double y[3] = {static_cast<double>(first[0]), static_cast<double>(first[1] + r),
                       static_cast<double>(first[2])};
  double u[3], x[3], error[3];
  multiply(field_of(of).to_voxels, of.vectors + 3 * voxel_of(of, column, r), u);
  for (int64_t c = 0; c < 3; ++c) x[c] = y[c] - u[c];
  fill_error(of.chain, x, y, error);
  improve(of.chain, y, of.tolerance, of.iterations, x, error);
  float sum = 0;
  for (int64_t c = 0; c < 3; ++c) {
    column.lanes.v[c][r] = static_cast<float>(x[c] - y[c]);
    column.error[c][r] = static_cast<float>(error[c]);
    sum += column.error[c][r] * column.error[c][r];
    for (int64_t a = 0; a < 3; ++a) column.inverse[c][a][r] = a == c;
  }
  // An error at the tolerance stays above it after rounding.
  column.squared_error[r] = length(error) <= of.tolerance && sum > tolerance ? tolerance : sum;
}

inline void store(const FieldInverse& of, const Column& column, int64_t r) {
  const int64_t at = voxel_of(of, column, r);
  double v[3], error[3], error_mm[3];
  for (int64_t c = 0; c < 3; ++c) v[c] = static_cast<double>(column.lanes.v[c][r]);
  for (int64_t c = 0; c < 3; ++c) error[c] = static_cast<double>(column.error[c][r]);
  multiply(of.to_mm, v, of.result + 3 * at);
  multiply(of.to_mm, error, error_mm);
  of.residuals[at] = static_cast<float>(length(error_mm));
}

// Solves a column of voxels after another along the last axis.
template <bool is_spline>
inline void invert_columns(const FieldInverse& of, Column& column) {
  const float tolerance = static_cast<float>(of.tolerance * of.tolerance);
  for (int64_t r = 0; r < kLanes; ++r) {
    column.squared_error[r] = kFarVoxels;  // so that all start anew
    for (int64_t c = 0; c < 3; ++c) {
      column.lanes.v[c][r] = 0;
      for (int64_t a = 0; a < 3; ++a) column.inverse[c][a][r] = c == a;
    }
    for (int64_t n = 0; n < 16; ++n) column.lanes.u[r][n / 4][n % 4] = 0;
  }
  for (int64_t k = 0; k < of.flow.shape().k; ++k) {
    column.lanes.first[2] = k;
    predict(of, tolerance, column);
    read_all<is_spline>(of.flow, column);
    for (int64_t n = 0; n < kNewtonSteps; ++n)
      if (!improve_lanes<is_spline>(of.flow, tolerance, n == 0, column)) break;
    for (int64_t r = 0; r < column.count; ++r) {
      if (!(column.squared_error[r] <= tolerance)) solve_alone(of, tolerance, r, column);
      store(of, column, r);
    }
  }
}

// Every column starts by itself, so that the result is the same for any threads, which
// take columns in turn.
void invert_field(const Chain& chain, const double* vectors, const double* to_mm,
                  double tolerance, int64_t iterations, double* result, float* residuals,
                  int threads) {
  const Flow flow(chain.steps[0], threads);
  const FieldInverse of{flow, chain, vectors, to_mm, tolerance, iterations, result, residuals};
  const Shape& shape = flow.shape();
  const int64_t across = (shape.j + kLanes - 1) / kLanes, columns = shape.i * across;
  parallel_for(threads, threads, [&](int64_t begin, int64_t end) {
    Column column;
    for (int64_t thread = begin; thread < end; ++thread)
      for (int64_t n = thread; n < columns; n += threads) {
        const int64_t j = n % across * kLanes;
        column.lanes.first[0] = n / across;
        column.lanes.first[1] = j;
        column.count = shape.j - j < kLanes ? shape.j - j : kLanes;
        if (flow.is_spline())
          invert_columns<true>(of, column);
        else
          invert_columns<false>(of, column);
      }
  });
}

}  // namespace
