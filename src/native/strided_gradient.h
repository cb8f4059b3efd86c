// Gradient of the weights of a convolution of any stride, directly: the sum of the outer
// products of the windows of the inputs and the gradients of the results.
#pragma once

#include "buffer.h"
#include "gradient_parts.h"
#include "kernels.h"
#include "outer_product.h"
#include "parallel.h"
#include "size.h"

#ifdef VOLTWEEN_VECTORS

namespace {

constexpr int64_t kDepth = 32;  // products at once, about

// Some lines of a plane of the results at once: their gradients, and the lines of the inputs
// that one pair of taps along i and j reads. The lines follow one another, with zeros between
// them as wide as the windows: where a window is no voxel of a result, its gradient is 0.
struct Lines {
  const WeightGradient& layer;
  Share columns;
  int64_t windows;  // of a line
  int64_t most;     // lines
  Buffer<float> inputs, gradients;

  Lines(const WeightGradient& layer_, const Share& columns_)
      : layer(layer_),
        columns(columns_),
        windows(
            ceil_divide(layer.stride * (layer.result_size.k - 1) + layer.taps, layer.stride)),
        most(ceil_divide(kDepth, windows)),
        inputs(input_count()),
        gradients(most * windows * column_step()) {
    inputs.fill(input_count(), 0);
    gradients.fill(most * windows * column_step(), 0);
  }

  int64_t column_step() const { return whole_vectors(columns.count); }
  int64_t input_step() const { return windows * layer.stride * layer.size.channels; }
  int64_t input_count() const { return most * input_step() + layer.taps * layer.size.channels; }

  // Copies line j of plane (b, i) of the inputs to place n, or zeros if there is none.
  void copy_inputs(int64_t plane, int64_t j, int64_t n) {
    const Size& size = layer.size;
    const int64_t reach = windows * layer.stride - layer.padding;
    const int64_t count = (size.k < reach ? size.k : reach) * size.channels;
    const float* from = layer.x + (plane * size.j + j) * size.k * size.channels;
    float* to = inputs.get() + n * input_step() + layer.padding * size.channels;
    if (j < 0 || j >= size.j)
      for (int64_t c = 0; c < count; ++c) to[c] = 0;
    else
      for (int64_t c = 0; c < count; ++c) to[c] = from[c];
  }

  // Copies a line of the gradients, counted over all planes, to place n.
  void copy_gradients(int64_t line, int64_t n) {
    const Size& size = layer.result_size;
    const float* from = layer.gradient + line * size.k * size.channels + columns.first;
    float* to = gradients.get() + n * windows * column_step();
    for (int64_t k = 0; k < size.k; ++k) {
      for (int64_t c = 0; c < columns.count; ++c) to[c] = from[c];
      from += size.channels;
      to += column_step();
    }
  }

  // Adds `count` lines from j on of plane (b, i) of the results to the sums (taps along i and
  // j; tap along k and input; column).
  void add(int64_t b, int64_t i, int64_t j, int64_t count, float* sums) {
    const int64_t rows = layer.taps * layer.size.channels;
    for (int64_t n = 0; n < count; ++n)
      copy_gradients((b * layer.result_size.i + i) * layer.result_size.j + j + n, n);
    const OuterProducts products{inputs.get(), layer.stride * layer.size.channels,
                                 gradients.get(), column_step(), count * windows};
    for (int64_t tap = 0; tap < layer.taps * layer.taps; ++tap) {
      const int64_t ii = layer.stride * i + tap / layer.taps - layer.padding;
      if (ii < 0 || ii >= layer.size.i) continue;
      for (int64_t n = 0; n < count; ++n)
        copy_inputs(b * layer.size.i + ii,
                    layer.stride * (j + n) + tap % layer.taps - layer.padding, n);
      add_outer_products(rows, column_step() / Vector::width, products,
                         sums + tap * rows * column_step());
    }
  }
};

// Computes one part of the sums: some columns, of a share of the planes of the results.
inline void sum_planes(const WeightGradient& layer, const Share& planes, const Share& columns,
                       const GradientSums& sums, int64_t share) {
  Lines lines(layer, columns);
  const int64_t step = lines.column_step();
  Buffer<float> memory(sums.taps * sums.rows * step);
  memory.fill(sums.taps * sums.rows * step, 0);
  const Size& size = layer.result_size;
  for (int64_t plane = planes.first; plane < planes.first + planes.count; ++plane)
    for (int64_t j = 0; j < size.j; j += lines.most)
      lines.add(plane / size.i, plane % size.i, j,
                size.j - j < lines.most ? size.j - j : lines.most, memory.get());
  for (int64_t n = 0; n < sums.taps * sums.rows; ++n) {
    float* to = sums.at(share, 0, n, columns.first);
    for (int64_t c = 0; c < columns.count; ++c) to[c] = memory[n * step + c];
  }
}

inline void strided_weight_gradient(const WeightGradient& layer, float* result, int threads) {
  const Size& size = layer.result_size;
  const Panels columns(size.channels);
  const int64_t planes = size.batch * size.i, taps = cube(layer.taps);
  const int64_t shares = share_count(planes, 4, columns.count);
  const Buffer<float> memory(shares * taps * layer.size.channels * size.channels);
  const GradientSums sums{shares,        taps,  layer.size.channels,
                          size.channels, false, memory.get()};
  parallel_for(columns.count * shares, threads, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t share = part / columns.count;
      const int64_t first = planes * share / shares, last = planes * (share + 1) / shares;
      sum_planes(layer, {first, last - first}, columns[part % columns.count], sums, share);
    }
  });
  sums.add_up(result, threads);
}

}  // namespace

#endif
