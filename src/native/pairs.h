// Registers of pairs of neighbors along k, which lie side by side in memory: one load of
// 8 bytes reads both. Gather instructions read them one by one, and several processors
// decode these into more work than plain loads (Zen 4 most of all). Every operation here
// has one rounding and the order that the callers write, as in code without registers:
// the results have the same bits on all processors.
//
// A group of kGroup voxels fills two registers, `low` and `high`. Each part of 128 bits
// holds the pairs of two voxels, those of voxels 4 n and 4 n + 1 in part n of `low`, of
// 4 n + 2 and 4 n + 3 in part n of `high`: the order that shuffles within parts of 128
// bits take apart again.
#pragma once

#ifdef VOLTWEEN_X86

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace {

// Two neighbors as the number that has their 8 bytes.
inline double pair_at(const float* at) {
  double pair;
  std::memcpy(&pair, at, sizeof pair);
  return pair;
}

#if defined(__AVX2__)
// The pairs of four voxels. Broadcasts and blends keep clear of the one unit that
// shuffles.
inline __m256d four_pairs(const float* image, const int32_t* a, const int32_t* b) {
  __m256d pairs = _mm256_set1_pd(pair_at(image + a[0]));
  pairs = _mm256_blend_pd(pairs, _mm256_set1_pd(pair_at(image + a[1])), 2);
  pairs = _mm256_blend_pd(pairs, _mm256_set1_pd(pair_at(image + b[0])), 4);
  return _mm256_blend_pd(pairs, _mm256_set1_pd(pair_at(image + b[1])), 8);
}
#endif

#if defined(__AVX512F__)

constexpr int64_t kGroup = 16;
using Register = __m512;

inline Register load_group(const float* at) { return _mm512_loadu_ps(at); }
inline void store_group(float* at, Register a) { _mm512_storeu_ps(at, a); }
inline Register ones() { return _mm512_set1_ps(1); }
inline Register add(Register a, Register b) { return _mm512_add_ps(a, b); }
inline Register subtract(Register a, Register b) { return _mm512_sub_ps(a, b); }
inline Register multiply(Register a, Register b) { return _mm512_mul_ps(a, b); }
// Masks that select everything: the forms without masks begin with an undefined register,
// which GCC 12 warns of.
inline Register unpack_low(Register a, Register b) {
  return _mm512_maskz_unpacklo_ps(0xffff, a, b);
}
inline Register unpack_high(Register a, Register b) {
  return _mm512_maskz_unpackhi_ps(0xffff, a, b);
}
inline Register firsts(Register a, Register b) {
  return _mm512_maskz_shuffle_ps(0xffff, a, b, 0x88);
}
inline Register seconds(Register a, Register b) {
  return _mm512_maskz_shuffle_ps(0xffff, a, b, 0xdd);
}
inline Register pairs(const float* image, const int32_t* offset) {
  const __m256d half = four_pairs(image, offset, offset + 4);
  const __m256d other = four_pairs(image, offset + 8, offset + 12);
  const __m512d whole = _mm512_castpd256_pd512(half);
  return _mm512_castpd_ps(_mm512_maskz_insertf64x4(0xff, whole, other, 1));
}

#elif defined(__AVX2__)

constexpr int64_t kGroup = 8;
using Register = __m256;

inline Register load_group(const float* at) { return _mm256_loadu_ps(at); }
inline void store_group(float* at, Register a) { _mm256_storeu_ps(at, a); }
inline Register ones() { return _mm256_set1_ps(1); }
inline Register add(Register a, Register b) { return _mm256_add_ps(a, b); }
inline Register subtract(Register a, Register b) { return _mm256_sub_ps(a, b); }
inline Register multiply(Register a, Register b) { return _mm256_mul_ps(a, b); }
inline Register unpack_low(Register a, Register b) { return _mm256_unpacklo_ps(a, b); }
inline Register unpack_high(Register a, Register b) { return _mm256_unpackhi_ps(a, b); }
inline Register firsts(Register a, Register b) { return _mm256_shuffle_ps(a, b, 0x88); }
inline Register seconds(Register a, Register b) { return _mm256_shuffle_ps(a, b, 0xdd); }
inline Register pairs(const float* image, const int32_t* offset) {
  return _mm256_castpd_ps(four_pairs(image, offset, offset + 4));
}

#else

constexpr int64_t kGroup = 4;
using Register = __m128;

inline Register load_group(const float* at) { return _mm_loadu_ps(at); }
inline void store_group(float* at, Register a) { _mm_storeu_ps(at, a); }
inline Register ones() { return _mm_set1_ps(1); }
inline Register add(Register a, Register b) { return _mm_add_ps(a, b); }
inline Register subtract(Register a, Register b) { return _mm_sub_ps(a, b); }
inline Register multiply(Register a, Register b) { return _mm_mul_ps(a, b); }
inline Register unpack_low(Register a, Register b) { return _mm_unpacklo_ps(a, b); }
inline Register unpack_high(Register a, Register b) { return _mm_unpackhi_ps(a, b); }
inline Register firsts(Register a, Register b) { return _mm_shuffle_ps(a, b, 0x88); }
inline Register seconds(Register a, Register b) { return _mm_shuffle_ps(a, b, 0xdd); }
inline Register pairs(const float* image, const int32_t* offset) {
  const __m128d pair = _mm_set_sd(pair_at(image + offset[0]));
  return _mm_castpd_ps(_mm_unpacklo_pd(pair, _mm_set_sd(pair_at(image + offset[1]))));
}

#endif

}  // namespace

#endif
