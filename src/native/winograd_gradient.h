// Gradient of the weights of a convolution of stride 1 by Winograd's minimal filtering, the
// transpose of winograd.h: at each of the points^3 positions, the sum over all tiles of the
// products of the transformed inputs and the transformed gradients of the results.
#pragma once

#include "buffer.h"
#include "gradient_parts.h"
#include "kernels.h"
#include "outer_product.h"
#include "parallel.h"
#include "size.h"
#include "strided_gradient.h"
#include "winograd.h"
#include "winograd_transforms.h"

#ifdef VOLTWEEN_VECTORS

namespace {

constexpr int64_t kTilesAtOnce = 16;

// Some channels of an array, which become rows or columns of the products.
struct Operand {
  bool is_gradient;
  Size size;
  int padding;
  const float* values;  // of the first of these channels
  int64_t channels;
  int64_t row;   // numbers of a transformed tile per position
  int64_t step;  // numbers of all transformed tiles per position

  Operand(const WeightGradient& layer, bool is_gradient_, const Share& share)
      : is_gradient(is_gradient_),
        size(is_gradient_ ? layer.result_size : layer.size),
        padding(is_gradient_ ? 0 : layer.padding),
        values((is_gradient_ ? layer.gradient : layer.x) + share.first),
        channels(share.count),
        row(whole_vectors(share.count)),
        step(kTilesAtOnce * row + Vector::width) {}  // no power of 2: see Tiles
};

template <int points, int outputs>
inline void transform_operand(const Operand& operand, const Tile& tile, const float* zero,
                              float* to) {
  const float* voxels[cube(points)];
  if (operand.is_gradient)
    locate<outputs>(operand.size, 0, tile, operand.values, zero, voxels);
  else
    locate<points>(operand.size, operand.padding, tile, operand.values, zero, voxels);
  for (int64_t c = 0; c < operand.channels; c += Vector::width) {
    const int64_t left = operand.channels - c;
    const Vector::Mask mask = first_lanes(left < Vector::width ? left : Vector::width);
    const auto load_channels = [c, mask](const float* voxel) { return load(voxel + c, mask); };
    if (operand.is_gradient)
      transform_gradient_tile<points, outputs>(voxels, load_channels, to + c, operand.step);
    else
      transform_tile<points>(voxels, load_channels, to + c, operand.step);
  }
}

// Adds the products of a share of the tiles to the sums (position, row, column).
template <int points, int outputs>
void add_tiles(const Tiles<points, outputs>& tiles, const Share& share, const Operand& rows,
               const Operand& columns, float* sums) {
  const Buffer<float> row_memory(cube(points) * rows.step + Vector::width);
  const Buffer<float> column_memory(cube(points) * columns.step + Vector::width);
  Buffer<float> zero(rows.row + columns.row);
  zero.fill(rows.row + columns.row, 0);
  float *left = aligned(row_memory), *right = aligned(column_memory);
  const int64_t end = share.first + share.count;
  for (int64_t first = share.first; first < end; first += kTilesAtOnce) {
    const int64_t count = end - first < kTilesAtOnce ? end - first : kTilesAtOnce;
    for (int64_t n = 0; n < count; ++n) {
      const Tile tile = tile_at(tiles, first + n);
      transform_operand<points, outputs>(rows, tile, zero.get(), left + n * rows.row);
      transform_operand<points, outputs>(columns, tile, zero.get(), right + n * columns.row);
    }
    for (int64_t p = 0; p < cube(points); ++p)
      add_outer_products(
          rows.channels, columns.row / Vector::width,
          {left + p * rows.step, rows.row, right + p * columns.step, columns.row, count},
          sums + p * rows.channels * columns.row);
  }
}

// Computes one part of the sums: some rows and columns, of a share of the tiles.
template <int points, int outputs>
void sum_tiles(const WeightGradient& layer, const Tiles<points, outputs>& tiles,
               const Share& tile_share, const Share& rows, const Share& columns,
               const GradientSums& sums, int64_t share) {
  constexpr int taps = points - outputs + 1;
  const Operand left(layer, sums.has_input_columns, rows);
  const Operand right(layer, !sums.has_input_columns, columns);
  const int64_t step = left.channels * right.row;
  const Buffer<float> memory(cube(points) * step + Vector::width);
  float* products = aligned(memory);
  for (int64_t n = 0; n < cube(points) * step; ++n) products[n] = 0;
  add_tiles(tiles, tile_share, left, right, products);
  for (int64_t row = 0; row < rows.count; ++row)
    for (int64_t column = 0; column < columns.count; column += Vector::width) {
      const int64_t rest = columns.count - column;
      const Vector::Mask mask = first_lanes(rest < Vector::width ? rest : Vector::width);
      transform_to_taps<points, taps>(
          products + row * right.row + column, step, [&](int i, int j, int k, Vector value) {
            store(value, mask,
                  sums.at(share, (i * taps + j) * taps + k, rows.first + row,
                          columns.first + column));
          });
    }
}

template <int points, int outputs>
void winograd_weight_gradient(const WeightGradient& layer, float* result, int threads) {
  const Tiles<points, outputs> tiles(layer.result_size, 0, Vector::width, 1);
  const int64_t inputs = layer.size.channels, results = layer.result_size.channels;
  const bool has_input_columns =
      whole_vectors(inputs) * results < whole_vectors(results) * inputs;
  const Panels rows(has_input_columns ? results : inputs);
  const Panels columns(has_input_columns ? inputs : results);
  const int64_t panels = rows.count * columns.count, taps = cube(layer.taps);
  const int64_t shares = share_count(tiles.count, 4 * kTilesAtOnce, panels);
  const Buffer<float> memory(shares * taps * inputs * results);
  const GradientSums sums{shares,      taps, rows.numbers, columns.numbers, has_input_columns,
                          memory.get()};
  parallel_for(panels * shares, threads, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t share = part / panels, panel = part % panels;
      const int64_t first = tiles.count * share / shares,
                    last = tiles.count * (share + 1) / shares;
      sum_tiles(layer, tiles, {first, last - first}, rows[panel / columns.count],
                columns[panel % columns.count], sums, share);
    }
  });
  sums.add_up(result, threads);
}

inline void weight_gradient(const WeightGradient& layer, float* result, int threads) {
  if (layer.stride > 1)
    strided_weight_gradient(layer, result, threads);
  else if (layer.taps == 2)
    winograd_weight_gradient<4, 3>(layer, result, threads);
  else
    winograd_weight_gradient<4, 2>(layer, result, threads);
}

}  // namespace

#endif
