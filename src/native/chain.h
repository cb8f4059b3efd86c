// Maps positions through a chain: matrices and fields of displacements in turn.
#pragma once

#include <cmath>
#include <cstring>

#include "space.h"

namespace {

using voltween::space::Chain;
using voltween::space::Reading;
using voltween::space::Shape;
using voltween::space::Step;

constexpr int64_t kPositions = 64;  // that are mapped at once

struct Positions {
  double at[3][kPositions];
};

inline void multiply(const double* m, int64_t count, Positions& p) {
  for (int64_t n = 0; n < count; ++n) {
    const double x = p.at[0][n], y = p.at[1][n], z = p.at[2][n];
    for (int64_t c = 0; c < 3; ++c)
      p.at[c][n] = m[4 * c] * x + m[4 * c + 1] * y + m[4 * c + 2] * z + m[4 * c + 3];
  }
}

// Multiplies a vector by three rows of three.
inline void multiply(const double* matrix, const double* vector, double* product) {
  for (int64_t c = 0; c < 3; ++c)
    product[c] = matrix[3 * c] * vector[0] + matrix[3 * c + 1] * vector[1] +
                 matrix[3 * c + 2] * vector[2];
}

inline double length(const double* v) {
  return std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
}

inline bool is_within(double x, double low, double high) { return x >= low && x <= high; }

// Whether a position is at most half a voxel beyond the outermost voxels. The upper limit
// itself is outside, as in ITK.
inline bool is_on(const Shape& shape, double x, double y, double z) {
  return x >= -0.5 && x < static_cast<double>(shape.i) - 0.5 && y >= -0.5 &&
         y < static_cast<double>(shape.j) - 0.5 && z >= -0.5 &&
         z < static_cast<double>(shape.k) - 0.5;
}

// A position along one axis, moved into the volume: the voxel before it, the step to the
// next one (none along an axis of one voxel), and the distance from the first.
struct Place {
  int64_t voxel, next;
  double share;
};

inline Place place(double x, int64_t size) {
  const double top = static_cast<double>(size - 1);
  const double inside = x > 0 ? (x < top ? x : top) : 0;  // 0 if it is not a number
  int64_t voxel = static_cast<int64_t>(inside);
  if (voxel > size - 2) voxel = size > 1 ? size - 2 : 0;
  return {voxel, size > 1 ? 1 : 0, inside - static_cast<double>(voxel)};
}

// Linear interpolation of a field of three components.
inline void read_linear(const Step& step, double x, double y, double z, double* u) {
  const Place a = place(x, step.shape.i), b = place(y, step.shape.j),
              c = place(z, step.shape.k);
  for (int64_t d = 0; d < 3; ++d) u[d] = 0;
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 2; ++j)
      for (int64_t k = 0; k < 2; ++k) {
        const double weight = (i ? a.share : 1 - a.share) * (j ? b.share : 1 - b.share) *
                              (k ? c.share : 1 - c.share);
        const int64_t row = (a.voxel + i * a.next) * step.shape.j + b.voxel + j * b.next;
        const double* at = step.field + 3 * (row * step.shape.k + c.voxel + k * c.next);
        for (int64_t d = 0; d < 3; ++d) u[d] += weight * at[d];
      }
}

// Weights and places of the four coefficients along one axis. Those beyond the grid have
// no weight; their places are moved into it.
struct Taps {
  double weight[4];
  int64_t voxel[4];
};

// Weights of the coefficients before and behind a position, `t` behind a voxel.
inline void weigh(double t, double* weights) {
  const double s = 1 - t;
  weights[0] = s * s * s / 6;
  weights[1] = 2.0 / 3 - t * t * (1 - t / 2);
  weights[2] = 2.0 / 3 - s * s * (1 - s / 2);
  weights[3] = t * t * t / 6;
}

inline void locate(double x, int64_t size, Taps& taps) {
  const double below = std::floor(x);
  weigh(x - below, taps.weight);
  const int64_t first = static_cast<int64_t>(below) - 1;
  for (int64_t n = 0; n < 4; ++n) {
    const int64_t voxel = first + n;
    taps.voxel[n] = voxel < 0 ? 0 : (voxel < size ? voxel : size - 1);
  }
}

// Four numbers that a compiler keeps in one register, or in two.
#if defined(__GNUC__)
typedef double Four __attribute__((vector_size(4 * sizeof(double))));
inline void add_scaled(double scale, const double* numbers, Four& sum) {
  Four four;
  std::memcpy(&four, numbers, sizeof four);
  sum += scale * four;
}
#else
struct Four {
  double number[4] = {};
};
inline Four operator*(double scale, const Four& four) {
  Four result;
  for (int64_t d = 0; d < 4; ++d) result.number[d] = scale * four.number[d];
  return result;
}
inline Four operator+(const Four& a, const Four& b) {
  Four result;
  for (int64_t d = 0; d < 4; ++d) result.number[d] = a.number[d] + b.number[d];
  return result;
}
inline void add_scaled(double scale, const double* numbers, Four& sum) {
  for (int64_t d = 0; d < 4; ++d) sum.number[d] += scale * numbers[d];
}
#endif

// Value of a spline; its coefficients have four components, of which the last is not used,
// so that one of them fills a register.
inline void read_spline(const Step& step, double x, double y, double z, double* u) {
  Taps a, b, c;
  locate(x, step.shape.i, a);
  locate(y, step.shape.j, b);
  locate(z, step.shape.k, c);
  Four sum{};
  for (int64_t i = 0; i < 4; ++i) {
    Four plane{};  // sums of their own, which do not wait for one another
    for (int64_t j = 0; j < 4; ++j) {
      const double* row =
          step.field + 4 * (a.voxel[i] * step.shape.j + b.voxel[j]) * step.shape.k;
      Four line{};
      for (int64_t k = 0; k < 4; ++k) add_scaled(c.weight[k], row + 4 * c.voxel[k], line);
      add_scaled(b.weight[j], reinterpret_cast<const double*>(&line), plane);
    }
    add_scaled(a.weight[i], reinterpret_cast<const double*>(&plane), sum);
  }
  std::memcpy(u, &sum, 3 * sizeof(double));
}

// Reads the field of a step at a position in its voxels; returns whether it has any.
inline bool read(const Step& step, double x, double y, double z, double* u) {
  const Shape& s = step.shape;
  if (step.reading == Reading::spline) {
    if (!is_within(x, 1, static_cast<double>(s.i - 2)) ||
        !is_within(y, 1, static_cast<double>(s.j - 2)) ||
        !is_within(z, 1, static_cast<double>(s.k - 2)))
      return false;
    read_spline(step, x, y, z, u);
    return true;
  }
  if (step.reading == Reading::linear && !is_on(s, x, y, z)) return false;
  read_linear(step, x, y, z, u);
  return true;
}

// Adds the displacement u, in units of the field, to a position in its voxels.
inline void add_displacement(const Step& step, const double* u, int64_t n, Positions& p) {
  const double* m = step.to_voxels;
  for (int64_t c = 0; c < 3; ++c)
    p.at[c][n] += m[3 * c] * u[0] + m[3 * c + 1] * u[1] + m[3 * c + 2] * u[2];
}

inline void apply(const Step& step, int64_t count, Positions& p) {
  multiply(step.matrix, count, p);
  for (int64_t n = 0; n < count; ++n) {
    double u[3];
    if (read(step, p.at[0][n], p.at[1][n], p.at[2][n], u)) add_displacement(step, u, n, p);
  }
}

inline void map_positions(const Chain& chain, int64_t count, Positions& p) {
  for (int64_t number = 0; number < chain.count; ++number) apply(chain.steps[number], count, p);
  multiply(chain.last, count, p);
}

constexpr double kStraight = 1e-11;  // voxels per voxel: less than rounding of positions

// The axis of a spline along which a row of voxels runs in steps of at most one voxel; -1
// if it does not run along one axis.
inline int64_t axis_of_row(const Step& step) {
  if (step.reading != Reading::spline) return -1;
  int64_t axis = -1;
  for (int64_t c = 0; c < 3; ++c) {
    const double pace = std::fabs(step.matrix[4 * c + 2]);
    if (pace <= kStraight) continue;
    if (axis >= 0 || pace > 1) return -1;
    axis = c;
  }
  return axis;
}

// Sums over two axes of a spline, at `count` voxels of the third one from `first` on;
// zeros beyond its last voxel.
inline void sum_across(const Step& step, int64_t axis, const Positions& p, int64_t first,
                       int64_t count, Four* line) {
  const int64_t size[3] = {step.shape.i, step.shape.j, step.shape.k};
  const int64_t stride[3] = {4 * size[1] * size[2], 4 * size[2], 4};
  const int64_t b = (axis + 1) % 3, c = (axis + 2) % 3;
  Taps in_b, in_c;
  locate(p.at[b][0], size[b], in_b);
  locate(p.at[c][0], size[c], in_c);
  for (int64_t n = 0; n < count; ++n) line[n] = Four{};
  const int64_t left = size[axis] - first, within = count < left ? count : left;
  for (int64_t m = 0; m < 16; ++m) {
    const double weight = in_b.weight[m / 4] * in_c.weight[m % 4];
    const double* from = step.field + stride[axis] * first + stride[b] * in_b.voxel[m / 4] +
                         stride[c] * in_c.voxel[m % 4];
    for (int64_t n = 0; n < within; ++n) add_scaled(weight, from + stride[axis] * n, line[n]);
  }
}

// As `apply`, for voxels in a row along an axis of a spline: the sums over the two other
// axes are shared by all of them.
inline void apply_along(const Step& step, int64_t axis, int64_t count, Positions& p) {
  multiply(step.matrix, count, p);
  const int64_t size[3] = {step.shape.i, step.shape.j, step.shape.k};
  const double top = static_cast<double>(size[axis] - 2);
  for (int64_t c = 0; c < 3; ++c)
    if (c != axis && !is_within(p.at[c][0], 1, static_cast<double>(size[c] - 2))) return;
  const double *along = p.at[axis], one = along[0], other = along[count - 1];
  const double low = one < other ? one : other, high = one < other ? other : one;
  if (!(high >= 1 && low <= top)) return;
  const int64_t first = static_cast<int64_t>(low < 1 ? 1 : low) - 1;
  const int64_t last = static_cast<int64_t>(high > top ? top : high) + 2;
  Four line[kPositions + 5];
  sum_across(step, axis, p, first, last - first + 1, line);
  for (int64_t n = 0; n < count; ++n) {
    if (!is_within(along[n], 1, top)) continue;
    const int64_t voxel = static_cast<int64_t>(along[n]);
    double weights[4];
    weigh(along[n] - static_cast<double>(voxel), weights);
    const Four* taps = line + (voxel - 1 - first);
    const Four sum = (weights[0] * taps[0] + weights[1] * taps[1]) +
                     (weights[2] * taps[2] + weights[3] * taps[3]);
    double u[3];
    std::memcpy(u, &sum, sizeof u);
    add_displacement(step, u, n, p);
  }
}

// Begins to put the voxels (i, j, k .. k + count - 1) through the chain. Returns the number
// of the step that comes next: the first one has been applied if they lie along an axis of
// its spline.
inline int64_t begin_row(const Chain& chain, int64_t i, int64_t j, int64_t k, int64_t count,
                         Positions& p) {
  for (int64_t n = 0; n < count; ++n) {
    p.at[0][n] = static_cast<double>(i);
    p.at[1][n] = static_cast<double>(j);
    p.at[2][n] = static_cast<double>(k + n);
  }
  const int64_t axis = chain.count > 0 ? axis_of_row(chain.steps[0]) : -1;
  if (axis < 0) return 0;
  apply_along(chain.steps[0], axis, count, p);
  return 1;
}

// Puts the voxels (i, j, k .. k + count - 1) through the chain.
inline void map_row(const Chain& chain, int64_t i, int64_t j, int64_t k, int64_t count,
                    Positions& p) {
  for (int64_t number = begin_row(chain, i, j, k, count, p); number < chain.count; ++number)
    apply(chain.steps[number], count, p);
  multiply(chain.last, count, p);
}

}  // namespace
