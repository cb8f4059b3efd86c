// The inverse of a chain of maps, position by position.
#pragma once

#include <cmath>

#include "chain.h"
#include "parallel.h"

namespace {

constexpr double kDerivativeStep = 1;  // with which folding is measured too
constexpr double kSmallestDeterminant = 0.02;
constexpr double kWorthwhileReduction = 0.5;
constexpr double kSmallestStep = 1.0 / 4096;  // of Newton's, where a fold has no origin

// The mapped position of one position.
inline void map_one(const Chain& chain, const double* x, double* mapped) {
  Positions p;
  for (int64_t c = 0; c < 3; ++c) p.at[c][0] = x[c];
  map_positions(chain, 1, p);
  for (int64_t c = 0; c < 3; ++c) mapped[c] = p.at[c][0];
}

// Error of an origin x of the position y: T(x) - y.
inline void fill_error(const Chain& chain, const double* x, const double* y, double* error) {
  map_one(chain, x, error);
  for (int64_t c = 0; c < 3; ++c) error[c] -= y[c];
}

// Solves J direction = error with J the derivative of T at x, by central differences; the
// error itself where T folds.
inline void fill_newton_direction(const Chain& chain, const double* x, const double* error,
                                  double* direction) {
  Positions p;
  for (int64_t n = 0; n < 6; ++n)
    for (int64_t c = 0; c < 3; ++c)
      p.at[c][n] = x[c] + (n / 2 == c ? (n % 2 ? -kDerivativeStep : kDerivativeStep) : 0);
  map_positions(chain, 6, p);
  double m[3][3];
  for (int64_t axis = 0; axis < 3; ++axis)
    for (int64_t c = 0; c < 3; ++c)
      m[axis][c] = (p.at[c][2 * axis] - p.at[c][2 * axis + 1]) / (2 * kDerivativeStep);
  // The rows of m are the columns of J, so that its cross products give the inverse.
  double cross[3][3];
  for (int64_t a = 0; a < 3; ++a) {
    const double *u = m[(a + 1) % 3], *v = m[(a + 2) % 3];
    for (int64_t c = 0; c < 3; ++c)
      cross[a][c] = u[(c + 1) % 3] * v[(c + 2) % 3] - u[(c + 2) % 3] * v[(c + 1) % 3];
  }
  const double determinant =
      m[0][0] * cross[0][0] + m[0][1] * cross[0][1] + m[0][2] * cross[0][2];
  for (int64_t a = 0; a < 3; ++a) {
    const double* row = cross[a];
    direction[a] =
        determinant < kSmallestDeterminant
            ? error[a]
            : (row[0] * error[0] + row[1] * error[1] + row[2] * error[2]) / determinant;
  }
}

// Improves the origin x of the position y, and its error. A fixed-point step costs one
// evaluation of T and is used as long as it at least halves the error; after that Newton's
// method, which costs seven. A step that would increase the error is rejected, and halved
// for the next iteration if it was Newton's, until it is too small to help.
inline void improve(const Chain& chain, const double* y, double tolerance, int64_t iterations,
                    double* x, double* error) {
  double step = 1, old = length(error);
  bool is_slow = false;
  for (int64_t n = 0; n < iterations && old > tolerance && step > kSmallestStep; ++n) {
    double direction[3], next[3], next_error[3];
    if (is_slow)
      fill_newton_direction(chain, x, error, direction);
    else
      for (int64_t c = 0; c < 3; ++c) direction[c] = error[c];
    for (int64_t c = 0; c < 3; ++c) next[c] = x[c] - step * direction[c];
    fill_error(chain, next, y, next_error);
    const double reached = length(next_error);
    const bool is_better = reached < old;
    if (is_better || !is_slow)
      step = step < 0.5 ? 2 * step : 1;
    else
      step /= 2;
    is_slow = is_slow || reached > kWorthwhileReduction * old;
    if (!is_better) continue;
    old = reached;
    for (int64_t c = 0; c < 3; ++c) x[c] = next[c], error[c] = next_error[c];
  }
}

void invert(const Chain& chain, int64_t count, const double* positions, double tolerance,
            int64_t iterations, double* origins, double* errors, int threads) {
  parallel_for(count, threads, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      double y[3], x[3], error[3];
      for (int64_t c = 0; c < 3; ++c) y[c] = positions[c * count + n];
      for (int64_t c = 0; c < 3; ++c) x[c] = origins[c * count + n];
      fill_error(chain, x, y, error);
      improve(chain, y, tolerance, iterations, x, error);
      for (int64_t c = 0; c < 3; ++c) origins[c * count + n] = x[c];
      for (int64_t c = 0; c < 3; ++c) errors[c * count + n] = error[c];
    }
  });
}

}  // namespace
