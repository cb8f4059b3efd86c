// Interleaving of the phases of an upsampled array. A transposed 4^3 convolution of stride
// 2 has eight output phases, each of which reads 2^3 inputs. A 2^3 convolution on a grid
// one voxel larger computes all phases at once, as channels (phase, channel). The kernels
// here place them: voxel 2 a + p of the result is phase p at a + p. Phases, and all arrays
// of `join`, have channels last: (batch, i, j, k, channel).
#pragma once

#include "bits.h"
#include "kernels.h"
#include "parallel.h"
#include "size.h"

namespace {

using voltween::Bfloat16;
using voltween::Size;

inline float as_number(float value) { return value; }
inline double as_number(double value) { return value; }
inline float as_number(Bfloat16 value) {
  return bits_as<float>(static_cast<uint32_t>(value.bits) << 16);
}

inline void store(float number, float& place) { place = number; }
inline void store(double number, double& place) { place = number; }
inline void store(float number, Bfloat16& place) {
  const uint32_t bits = bits_as<uint32_t>(number);
  const uint32_t to_even = 0x7fff + (bits >> 16 & 1);
  const bool is_nan = number != number;
  place.bits = static_cast<uint16_t>(is_nan ? 0x7fc0 : (bits + to_even) >> 16);
}

// Offset of the phase that holds voxel (i, j, k) of the fine grid; `size` is the fine grid.
inline int64_t phase_offset(const Size& size, int64_t b, int64_t i, int64_t j, int64_t k,
                            int64_t channels) {
  const int64_t phase = 4 * (i & 1) + 2 * (j & 1) + (k & 1);
  const int64_t ii = i / 2 + (i & 1), jj = j / 2 + (j & 1), kk = k / 2 + (k & 1);
  const int64_t at =
      ((b * (size.i / 2 + 1) + ii) * (size.j / 2 + 1) + jj) * (size.k / 2 + 1) + kk;
  return (at * 8 + phase) * channels;
}

// Calls body(b, i, j) for every row of the fine grid.
template <class Body>
void for_rows(const Size& size, int threads, const Body& body) {
  parallel_for(size.batch * size.i * size.j, threads, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      body(row / (size.i * size.j), row / size.j % size.i, row % size.j);
  });
}

template <class T>
inline void copy(const T* __restrict from, int64_t count, T* __restrict to) {
  for (int64_t n = 0; n < count; ++n) to[n] = from[n];
}

template <class T>
inline void copy_leaky(const T* __restrict from, int64_t count, double leak, T* __restrict to) {
  using Number = decltype(as_number(from[0]));
  const Number factor = static_cast<Number>(leak);
  for (int64_t n = 0; n < count; ++n) {
    const Number value = as_number(from[n]);
    store(value < 0 ? value * factor : value, to[n]);
  }
}

// Joins [skip, leaky features, prediction] at every voxel. `size` is that of the skip
// connection, which has the fine grid.
template <class T>
void join(Size size, const T* skip, const T* features, int64_t feature_channels,
          const T* prediction, double leak, T* joined, int threads) {
  const int64_t skips = size.channels, channels = skips + feature_channels + 3;
  for_rows(size, threads, [&](int64_t b, int64_t i, int64_t j) {
    const int64_t row = ((b * size.i + i) * size.j + j) * size.k;
    for (int64_t k = 0; k < size.k; ++k) {
      T* to = joined + (row + k) * channels;
      copy(skip + (row + k) * skips, skips, to);
      to += skips;
      copy_leaky(features + phase_offset(size, b, i, j, k, feature_channels), feature_channels,
                 leak, to);
      to += feature_channels;
      const T* from = prediction + phase_offset(size, b, i, j, k, 3);
      for (int64_t c = 0; c < 3; ++c) to[c] = from[c];
    }
  });
}

// Zeroes an array of gradients: those of phases beyond the fine grid are never written.
template <class T>
void clear(T* values, int64_t count, int threads) {
  parallel_for(count, threads, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) values[n] = T();
  });
}

inline int64_t phase_values(const Size& size, int64_t channels) {
  return size.batch * (size.i / 2 + 1) * (size.j / 2 + 1) * (size.k / 2 + 1) * 8 * channels;
}

// Gradients of `join` with respect to its three arrays.
template <class T>
void join_backward(Size size, const T* joined, const T* gradient, int64_t feature_channels,
                   double leak, T* skip_gradient, T* feature_gradient, T* prediction_gradient,
                   int threads) {
  using Number = decltype(as_number(joined[0]));
  const Number factor = static_cast<Number>(leak);
  const int64_t skips = size.channels, channels = skips + feature_channels + 3;
  clear(feature_gradient, phase_values(size, feature_channels), threads);
  clear(prediction_gradient, phase_values(size, 3), threads);
  for_rows(size, threads, [&](int64_t b, int64_t i, int64_t j) {
    const int64_t row = ((b * size.i + i) * size.j + j) * size.k;
    for (int64_t k = 0; k < size.k; ++k) {
      const T* from = gradient + (row + k) * channels;
      copy(from, skips, skip_gradient + (row + k) * skips);
      from += skips;
      const T* value = joined + (row + k) * channels + skips;  // same sign as the features
      T* to = feature_gradient + phase_offset(size, b, i, j, k, feature_channels);
      for (int64_t c = 0; c < feature_channels; ++c) {
        const Number change = as_number(from[c]);
        store(as_number(value[c]) < 0 ? change * factor : change, to[c]);
      }
      from += feature_channels;
      to = prediction_gradient + phase_offset(size, b, i, j, k, 3);
      for (int64_t c = 0; c < 3; ++c) to[c] = from[c];
    }
  });
}

// Interleaves the phases of a flow into (batch, 3, i, j, k) and multiplies by `scale`.
// `size` is the fine grid.
template <class T>
void interleave(Size size, const T* phases, double scale, T* flow, int threads) {
  const T factor = static_cast<T>(scale);
  for_rows(size, threads, [&](int64_t b, int64_t i, int64_t j) {
    T* to = flow + (b * 3 * size.i + i) * plane_of(size) + j * size.k;
    for (int64_t k = 0; k < size.k; ++k) {
      const T* from = phases + phase_offset(size, b, i, j, k, 3);
      for (int64_t c = 0; c < 3; ++c) to[c * voxels_of(size) + k] = factor * from[c];
    }
  });
}

// Gradient of `interleave` with respect to the phases.
template <class T>
void interleave_backward(Size size, const T* gradient, double scale, T* phase_gradient,
                         int threads) {
  const T factor = static_cast<T>(scale);
  clear(phase_gradient, phase_values(size, 3), threads);
  for_rows(size, threads, [&](int64_t b, int64_t i, int64_t j) {
    const T* from = gradient + (b * 3 * size.i + i) * plane_of(size) + j * size.k;
    for (int64_t k = 0; k < size.k; ++k) {
      T* to = phase_gradient + phase_offset(size, b, i, j, k, 3);
      for (int64_t c = 0; c < 3; ++c) to[c] = factor * from[c * voxels_of(size) + k];
    }
  });
}

}  // namespace
