// Vectors of float32 of the instruction set that this file is compiled for. Without
// vectors (plain), VOLTWEEN_VECTORS is not defined, nor is the type.
#pragma once

#if defined(__AVX512F__) || defined(__AVX2__)
#define VOLTWEEN_VECTORS
#include <immintrin.h>

#include <cstdint>
#endif

// Before a loop of a few constant steps whose arrays are to stay in registers.
#if defined(__clang__)
#define VOLTWEEN_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define VOLTWEEN_UNROLL _Pragma("GCC unroll 24")
#else
#define VOLTWEEN_UNROLL
#endif

namespace {

#if defined(__AVX512F__)

struct Vector {
  static constexpr int width = 16;
  using Mask = __mmask16;
  __m512 lanes;
};

inline Vector zeros() { return {_mm512_setzero_ps()}; }
inline Vector broadcast(float value) { return {_mm512_set1_ps(value)}; }
inline Vector load(const float* from) { return {_mm512_loadu_ps(from)}; }
inline void store(const Vector& x, float* to) { _mm512_storeu_ps(to, x.lanes); }

// Of the first `count` lanes, 1 to width.
inline Vector::Mask first_lanes(int64_t count) {
  return static_cast<Vector::Mask>(0xffffu >> (Vector::width - count));
}
inline Vector load(const float* from, Vector::Mask mask) {
  return {_mm512_maskz_loadu_ps(mask, from)};
}
inline void store(const Vector& x, Vector::Mask mask, float* to) {
  _mm512_mask_storeu_ps(to, mask, x.lanes);
}

inline Vector operator+(const Vector& a, const Vector& b) {
  return {_mm512_add_ps(a.lanes, b.lanes)};
}
inline Vector operator-(const Vector& a, const Vector& b) {
  return {_mm512_sub_ps(a.lanes, b.lanes)};
}
inline Vector operator*(const Vector& a, const Vector& b) {
  return {_mm512_mul_ps(a.lanes, b.lanes)};
}
inline Vector multiply_add(const Vector& a, const Vector& b, const Vector& c) {
  return {_mm512_fmadd_ps(a.lanes, b.lanes, c.lanes)};
}
inline Vector larger(const Vector& a, const Vector& b) {
  return {_mm512_maskz_max_ps(0xffff, a.lanes, b.lanes)};  // not _mm512_max_ps: GCC warns
}

#elif defined(__AVX2__)

struct Vector {
  static constexpr int width = 8;
  struct Mask {
    __m256i lanes;
  };
  __m256 lanes;
};

inline Vector zeros() { return {_mm256_setzero_ps()}; }
inline Vector broadcast(float value) { return {_mm256_set1_ps(value)}; }
inline Vector load(const float* from) { return {_mm256_loadu_ps(from)}; }
inline void store(const Vector& x, float* to) { _mm256_storeu_ps(to, x.lanes); }

// Of the first `count` lanes, 1 to width.
inline Vector::Mask first_lanes(int64_t count) {
  const __m256i numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return {_mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), numbers)};
}
inline Vector load(const float* from, Vector::Mask mask) {
  return {_mm256_maskload_ps(from, mask.lanes)};
}
inline void store(const Vector& x, Vector::Mask mask, float* to) {
  _mm256_maskstore_ps(to, mask.lanes, x.lanes);
}

inline Vector operator+(const Vector& a, const Vector& b) {
  return {_mm256_add_ps(a.lanes, b.lanes)};
}
inline Vector operator-(const Vector& a, const Vector& b) {
  return {_mm256_sub_ps(a.lanes, b.lanes)};
}
inline Vector operator*(const Vector& a, const Vector& b) {
  return {_mm256_mul_ps(a.lanes, b.lanes)};
}
inline Vector multiply_add(const Vector& a, const Vector& b, const Vector& c) {
  return {_mm256_fmadd_ps(a.lanes, b.lanes, c.lanes)};
}
inline Vector larger(const Vector& a, const Vector& b) {
  return {_mm256_max_ps(a.lanes, b.lanes)};
}

#endif

}  // namespace
