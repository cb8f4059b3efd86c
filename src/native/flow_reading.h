// A field of displacements in single precision, read with its derivative at many
// positions at once.
#pragma once

#include <cmath>
#include <cstring>

#include "buffer.h"
#include "parallel.h"
#include "space.h"

namespace {

using voltween::space::Reading;
using voltween::space::Shape;
using voltween::space::Step;

constexpr int64_t kLanes = 16;               // positions that are read at once
constexpr int64_t kTaps = 4;                 // voxels along each axis that a value depends on
constexpr int64_t kBefore = 1, kBeyond = 3;  // voxels added before a volume, and in all
constexpr float kFarVoxels = 1e6F;

// As many numbers as a register of the instruction set holds.
#if defined(__AVX512F__)
constexpr int64_t kWidth = 16;
#elif defined(__AVX2__)
constexpr int64_t kWidth = 8;
#else
constexpr int64_t kWidth = 4;
#endif
#if defined(__GNUC__)
typedef float Wide __attribute__((vector_size(kWidth * sizeof(float))));
typedef float Quad __attribute__((vector_size(4 * sizeof(float))));
inline void add_scaled(float scale, const Wide& numbers, Wide& sum) { sum += scale * numbers; }
inline void add_scaled(float scale, const float* numbers, Quad& sum) {
  Quad four;
  std::memcpy(&four, numbers, sizeof four);
  sum += scale * four;
}
#else
struct Wide {
  float number[kWidth] = {};
};
struct Quad {
  float number[4] = {};
};
inline void add_scaled(float scale, const Wide& numbers, Wide& sum) {
  for (int64_t n = 0; n < kWidth; ++n) sum.number[n] += scale * numbers.number[n];
}
inline void add_scaled(float scale, const float* numbers, Quad& sum) {
  for (int64_t n = 0; n < 4; ++n) sum.number[n] += scale * numbers[n];
}
#endif

// The field of a step in voxels of its grid, with a component of zeros, so that the four
// voxels along the last axis that a value depends on lie in one register. Around it are
// voxels that no position needs to be checked against: zeros around a spline's
// coefficients, and the nearest vectors around a field that is read linearly.
class Flow {
 public:
  Flow(const Step& step, int threads)
      : shape_(step.shape),
        is_spline_(step.reading == Reading::spline),
        numbers_(4 * (shape_.i + kBeyond) * (shape_.j + kBeyond) * (shape_.k + kBeyond)) {
    const int64_t rows = shape_.j + kBeyond;
    parallel_for((shape_.i + kBeyond) * rows, threads, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        fill_row(step, row / rows - kBefore, row % rows - kBefore);
    });
  }

  const Shape& shape() const { return shape_; }
  bool is_spline() const { return is_spline_; }
  int64_t row_stride() const { return 4 * (shape_.k + kBeyond); }
  int64_t plane_stride() const { return row_stride() * (shape_.j + kBeyond); }

  // The first of the voxels on which a value depends, of which (i, j, k) is the second.
  const float* taps(int64_t i, int64_t j, int64_t k) const {
    return numbers_.get() + i * plane_stride() + j * row_stride() + 4 * k;
  }

 private:
  static int64_t nearest(int64_t voxel, int64_t size) {
    return voxel < 0 ? 0 : (voxel < size ? voxel : size - 1);
  }

  void fill_row(const Step& step, int64_t i, int64_t j) {
    const int64_t components = is_spline_ ? 4 : 3;
    const double* m = step.to_voxels;
    float* to = numbers_.get() + (i + kBefore) * plane_stride() + (j + kBefore) * row_stride();
    const int64_t row = nearest(i, shape_.i) * shape_.j + nearest(j, shape_.j);
    const bool is_beyond = i != nearest(i, shape_.i) || j != nearest(j, shape_.j);
    for (int64_t k = -kBefore; k < shape_.k + kBeyond - kBefore; ++k, to += 4) {
      const int64_t at = nearest(k, shape_.k);
      const bool is_zero = is_spline_ && (is_beyond || k != at);
      const double* u = step.field + components * (row * shape_.k + at);
      for (int64_t c = 0; c < 3; ++c)
        to[c] = is_zero ? 0
                        : static_cast<float>(m[3 * c] * u[0] + m[3 * c + 1] * u[1] +
                                             m[3 * c + 2] * u[2]);
      to[3] = 0;
    }
  }

  Shape shape_;
  bool is_spline_;
  Buffer<float> numbers_;
};

// Positions y + v of voxels y in a column, along the second axis from `first` on, and what
// a flow says there.
struct Lanes {
  int64_t first[3];
  float v[3][kLanes];              // displacements from y
  float u[kLanes][4][4];           // the flow, then its derivatives along the axes
  int32_t voxel[3][kLanes];        // before the position
  int32_t has_flow[kLanes];        // beyond a spline there is none
  float weight[3][kTaps][kLanes];  // of the voxels along each axis
  float slope[3][kTaps][kLanes];   // derivatives of the weights
};

// Weights of the voxels around positions, `t` behind a voxel, and their derivatives.
inline void weigh_spline(float t, float* weights, float* slopes) {
  const float s = 1 - t;
  weights[0] = s * s * s / 6;
  weights[kLanes] = 2.0F / 3 - t * t * (1 - t / 2);
  weights[2 * kLanes] = 2.0F / 3 - s * s * (1 - s / 2);
  weights[3 * kLanes] = t * t * t / 6;
  slopes[0] = -s * s / 2;
  slopes[kLanes] = t * (1.5F * t - 2);
  slopes[2 * kLanes] = -s * (1.5F * s - 2);
  slopes[3 * kLanes] = t * t / 2;
}

inline void weigh_linear(float t, float slope, float* weights, float* slopes) {
  weights[0] = weights[3 * kLanes] = slopes[0] = slopes[3 * kLanes] = 0;
  weights[kLanes] = 1 - t;
  weights[2 * kLanes] = t;
  slopes[kLanes] = -slope;
  slopes[2 * kLanes] = slope;
}

// Finds the voxels before all positions, and the weights of those around them. Loops of
// plain numbers, which compilers turn into vector instructions.
template <bool is_spline>
inline void place_lanes(const Flow& flow, Lanes& lanes) {
  const int64_t size[3] = {flow.shape().i, flow.shape().j, flow.shape().k};
  int32_t has_flow[kLanes];
  for (int64_t r = 0; r < kLanes; ++r) has_flow[r] = 1;
  for (int64_t c = 0; c < 3; ++c) {
    const int32_t first = static_cast<int32_t>(lanes.first[c]), each = c == 1;
    const int32_t last = static_cast<int32_t>(size[c]) - 1;
    float t[kLanes], slope[kLanes] = {};
    int32_t voxels[kLanes];
    for (int32_t r = 0; r < kLanes; ++r) {
      const float floor = std::floor(lanes.v[c][r]);
      // Whatever is no number is far away, too.
      const float low = floor < kFarVoxels ? floor : kFarVoxels;
      const float below = low < -kFarVoxels ? -kFarVoxels : low;
      const int32_t voxel = first + each * r + static_cast<int32_t>(below);
      t[r] = lanes.v[c][r] - below;
      voxels[r] = voxel;
      if (is_spline) {
        const int32_t is_last = (voxel == last - 1) & (t[r] == 0);
        has_flow[r] &= (voxel >= 1) & ((voxel < last - 1) | is_last);
      } else {
        const bool is_in = (voxel >= 0) & (voxel < last);
        const int32_t within = voxel < last ? voxel : last;
        voxels[r] = within < 0 ? 0 : within;
        t[r] = is_in ? t[r] : 0;
        slope[r] = is_in ? 1 : 0;
      }
    }
    for (int64_t r = 0; r < kLanes; ++r) lanes.voxel[c][r] = voxels[r];
    float (*weight)[kLanes] = lanes.weight[c], (*slopes)[kLanes] = lanes.slope[c];
#pragma omp simd
    for (int64_t r = 0; r < kLanes; ++r)
      if (is_spline)
        weigh_spline(t[r], &weight[0][r], &slopes[0][r]);
      else
        weigh_linear(t[r], slope[r], &weight[0][r], &slopes[0][r]);
  }
  for (int64_t r = 0; r < kLanes; ++r) lanes.has_flow[r] = has_flow[r];
}

// Adds the part `n` of a row of sums, which is `kWidth` numbers of its voxels along the
// last axis, with their weights.
inline void add_along(const Wide& sums, const float* weights, int64_t n, Quad& sum) {
  float numbers[kWidth];
  std::memcpy(numbers, &sums, sizeof numbers);
  for (int64_t m = 0; m < kWidth / 4; ++m)
    add_scaled(weights[(n * kWidth / 4 + m) * kLanes], numbers + 4 * m, sum);
}

// Reads the flow at position r; `u` is its value, followed by its derivatives along the
// three axes if they are asked for.
template <bool has_derivatives>
inline void read_lane(const Flow& flow, Lanes& lanes, int64_t r) {
  if (!lanes.has_flow[r]) {
    std::memset(lanes.u[r], 0, sizeof lanes.u[r]);
    return;
  }
  const float* from = flow.taps(lanes.voxel[0][r], lanes.voxel[1][r], lanes.voxel[2][r]);
  const float *wi = lanes.weight[0][0] + r, *wj = lanes.weight[1][0] + r;
  const float *wk = lanes.weight[2][0] + r, *di = lanes.slope[0][0] + r;
  const float *dj = lanes.slope[1][0] + r, *dk = lanes.slope[2][0] + r;
  Quad u{}, along_i{}, along_j{}, along_k{};
  for (int64_t n = 0; n < 4 * kTaps / kWidth; ++n) {
    Wide sum{}, sum_i{}, sum_j{};
    for (int64_t i = 0; i < kTaps; ++i) {
      Wide plane{}, plane_j{};
      for (int64_t j = 0; j < kTaps; ++j) {
        Wide row;
        std::memcpy(&row, from + i * flow.plane_stride() + j * flow.row_stride() + n * kWidth,
                    sizeof row);
        add_scaled(wj[j * kLanes], row, plane);
        if (has_derivatives) add_scaled(dj[j * kLanes], row, plane_j);
      }
      add_scaled(wi[i * kLanes], plane, sum);
      if (has_derivatives) add_scaled(wi[i * kLanes], plane_j, sum_j);
      if (has_derivatives) add_scaled(di[i * kLanes], plane, sum_i);
    }
    add_along(sum, wk, n, u);
    if (!has_derivatives) continue;
    add_along(sum_i, wk, n, along_i);
    add_along(sum_j, wk, n, along_j);
    add_along(sum, dk, n, along_k);
  }
  std::memcpy(lanes.u[r][0], &u, sizeof u);
  if (!has_derivatives) return;
  std::memcpy(lanes.u[r][1], &along_i, sizeof u);
  std::memcpy(lanes.u[r][2], &along_j, sizeof u);
  std::memcpy(lanes.u[r][3], &along_k, sizeof u);
}

}  // namespace
