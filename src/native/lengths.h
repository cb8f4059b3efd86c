// Lengths of displacements of a grid's voxels, in single precision.
#pragma once

#include "buffer.h"
#include "chain.h"
#include "flow_reading.h"
#include "parallel.h"
#include "volumes.h"

namespace {

// The splines of a chain in single precision, but for that which rows lie along.
class Flows {
 public:
  Flows(const Chain& chain, int threads) : count_(chain.count), flows_(chain.count) {
    for (int64_t n = 0; n < count_; ++n) {
      const Step& step = chain.steps[n];
      const bool is_read = step.reading == Reading::spline && (n > 0 || axis_of_row(step) < 0);
      flows_[n] = is_read ? new Flow(step, threads) : nullptr;
    }
  }
  ~Flows() {
    for (int64_t n = 0; n < count_; ++n) delete flows_[n];
  }
  Flows(const Flows&) = delete;
  Flows& operator=(const Flows&) = delete;
  const Flow* of(int64_t step) const { return flows_[step]; }

 private:
  int64_t count_;
  Buffer<Flow*> flows_;
};

// Prepares to read a spline at the positions from `first` on.
inline void place_positions(const Shape& shape, const Positions& p, int64_t first,
                            int64_t count, Lanes& lanes) {
  const int64_t size[3] = {shape.i, shape.j, shape.k};
  for (int64_t r = 0; r < count; ++r) lanes.has_flow[r] = 1;
  for (int64_t c = 0; c < 3; ++c) {
    const double top = static_cast<double>(size[c] - 2);
    for (int64_t r = 0; r < count; ++r) {
      const double x = p.at[c][first + r];
      const bool is_inside = is_within(x, 1, top);
      const int32_t voxel = static_cast<int32_t>(is_inside ? x : 1);
      lanes.has_flow[r] &= is_inside;
      lanes.voxel[c][r] = voxel;
      weigh_spline(static_cast<float>((is_inside ? x : 1) - voxel), lanes.weight[c][0] + r,
                   lanes.slope[c][0] + r);
    }
  }
}

// As `apply`, for a spline in single precision.
inline void apply_flow(const Step& step, const Flow& flow, int64_t count, Positions& p,
                       Lanes& lanes) {
  multiply(step.matrix, count, p);
  for (int64_t first = 0; first < count; first += kLanes) {
    const int64_t lane_count = count - first < kLanes ? count - first : kLanes;
    place_positions(flow.shape(), p, first, lane_count, lanes);
    for (int64_t r = 0; r < lane_count; ++r) {
      read_lane<false>(flow, lanes, r);
      for (int64_t c = 0; c < 3; ++c)
        p.at[c][first + r] += static_cast<double>(lanes.u[r][0][c]);
    }
  }
}

// Keeps the positions of the voxels that are wanted; returns how many they are.
inline int64_t keep_wanted(const uint8_t* where, int64_t count, Positions& p, int64_t* voxels) {
  int64_t kept = 0;
  for (int64_t n = 0; n < count; ++n) {
    if (!where[n]) continue;
    for (int64_t c = 0; c < 3; ++c) p.at[c][kept] = p.at[c][n];
    voxels[kept++] = n;
  }
  return kept;
}

inline bool has_any(const uint8_t* where, int64_t count) {
  for (int64_t n = 0; n < count; ++n)
    if (where[n]) return true;
  return false;
}

// Lengths of the voxels (i, j, k .. k + count - 1); zero where they are not wanted.
inline void fill_lengths(const Chain& chain, const Flows& flows, const double* scale,
                         const int64_t* voxel, int64_t count, const uint8_t* where,
                         Lanes& lanes, float* result) {
  Positions p;
  int64_t voxels[kPositions];
  for (int64_t n = 0; n < count; ++n) result[n] = 0;
  if (!has_any(where, count)) return;
  int64_t number = begin_row(chain, voxel[0], voxel[1], voxel[2], count, p);
  const int64_t kept = keep_wanted(where, count, p, voxels);
  for (; number < chain.count; ++number)
    if (const Flow* flow = flows.of(number))
      apply_flow(chain.steps[number], *flow, kept, p, lanes);
    else
      apply(chain.steps[number], kept, p);
  multiply(chain.last, kept, p);
  for (int64_t n = 0; n < kept; ++n) {
    double moved[3], scaled[3];
    for (int64_t c = 0; c < 3; ++c)
      moved[c] = p.at[c][n] - static_cast<double>(voxel[c] + (c == 2 ? voxels[n] : 0));
    multiply(scale, moved, scaled);
    result[voxels[n]] = static_cast<float>(length(scaled));
  }
}

void lengths(const Chain& chain, Shape onto, const double* scale, const uint8_t* where,
             float* result, int threads) {
  const Flows flows(chain, threads);
  parallel_for(onto.i * onto.j, threads, [&](int64_t begin, int64_t end) {
    Lanes lanes;
    for (int64_t row = begin; row < end; ++row)
      for (int64_t k = 0; k < onto.k; k += kPositions) {
        const int64_t count = onto.k - k < kPositions ? onto.k - k : kPositions;
        const int64_t at = row * onto.k + k, voxel[3] = {row / onto.j, row % onto.j, k};
        fill_lengths(chain, flows, scale, voxel, count, where + at, lanes, result + at);
      }
  });
}

}  // namespace
