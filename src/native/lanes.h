// Sums of which every instruction set computes the same bits: the order of the additions is
// fixed, and does not follow from the width of its vectors.
#pragma once

#include <cstdint>

namespace {

constexpr int64_t kSumLanes = 16;  // independent sums: as many as the longest vector has

// Sum of term(0) .. term(count - 1).
template <class T, class Term>
inline T sum_in_lanes(int64_t count, const Term& term) {
  T lanes[kSumLanes] = {};
  int64_t n = 0;
  for (; n + kSumLanes <= count; n += kSumLanes) {
#pragma omp simd
    for (int64_t lane = 0; lane < kSumLanes; ++lane) lanes[lane] += term(n + lane);
  }
  for (int64_t lane = 0; n + lane < count; ++lane) lanes[lane] += term(n + lane);
  // Halves are added to halves, so that vectors stay vectors.
  for (int64_t half = kSumLanes / 2; half > 0; half /= 2)
    for (int64_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

}  // namespace
