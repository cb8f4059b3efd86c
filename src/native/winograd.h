// Convolutions with padding 1 by Winograd's minimal filtering, all arrays with channels
// last. A tile of outputs^3 voxels of the result takes points^3 products per pair of
// channels, as many products of matrices [tiles x channels] x [channels x columns]. Tiles
// are processed in blocks that fit into a core's cache, from the inputs to the results.
#pragma once

#include "buffer.h"
#include "kernels.h"
#include "parallel.h"
#include "size.h"
#include "winograd_product.h"
#include "winograd_transforms.h"

#ifdef VOLTWEEN_VECTORS

namespace {

using voltween::Convolution;
using voltween::Size;

// Numbers of a block: half a megabyte, of the cache of a core.
constexpr int64_t kCacheNumbers = 128 << 10;

constexpr int64_t cube(int64_t n) { return n * n * n; }
constexpr int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The tiles of a result, in order, and the memory for a block of them.
template <int points, int outputs>
struct Tiles {
  static constexpr int growth = 3 - (points - outputs + 1);  // of the grid: taps 2 or 3

  Size size;    // of the inputs
  Size result;  // of the result
  int64_t i, j, k, count;
  int64_t row;    // numbers of a transformed tile per position
  int64_t block;  // tiles
  int64_t step;   // numbers of a transformed block per position

  Tiles(const Size& inputs, int64_t columns, int64_t panel)
      : size(inputs),
        result{inputs.batch, columns, inputs.i + growth, inputs.j + growth, inputs.k + growth},
        i(ceil_divide(result.i, outputs)),
        j(ceil_divide(result.j, outputs)),
        k(ceil_divide(result.k, outputs)),
        count(inputs.batch * i * j * k),
        row(ceil_divide(inputs.channels, Vector::width) * Vector::width) {
    const int64_t fit = kCacheNumbers / (cube(points) * (row + panel));
    const int64_t rows = product_rows(static_cast<int>(panel / Vector::width));
    block = fit < rows ? rows : fit / rows * rows;
    if (block > count) block = count;
    step = block * row + Vector::width;  // not a power of 2: other cache lines
  }
};

inline float* aligned(const Buffer<float>& buffer) {
  constexpr uintptr_t bytes = sizeof(Vector);
  return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(buffer.get()) + bytes - 1) /
                                  bytes * bytes);
}

struct Tile {
  int64_t b, i, j, k;  // item and first voxel of the result
};

template <int points, int outputs>
inline Tile tile_at(const Tiles<points, outputs>& tiles, int64_t number) {
  return {number / (tiles.i * tiles.j * tiles.k),
          number / (tiles.j * tiles.k) % tiles.i * outputs,
          number / tiles.k % tiles.j * outputs, number % tiles.k * outputs};
}

// Addresses of the voxels that a tile reads; `zero` outside the grid.
template <int points>
inline void locate(const Size& size, const Tile& tile, const float* x, const float* zero,
                   const float** voxels) {
  for (int i = 0; i < points; ++i)
    for (int j = 0; j < points; ++j)
      for (int k = 0; k < points; ++k) {
        const int64_t ii = tile.i + i - 1, jj = tile.j + j - 1, kk = tile.k + k - 1;
        const bool is_inside =
            ii >= 0 && ii < size.i && jj >= 0 && jj < size.j && kk >= 0 && kk < size.k;
        *voxels++ = is_inside ? x + (((tile.b * size.i + ii) * size.j + jj) * size.k + kk) *
                                        size.channels
                              : zero;
      }
}

// Transforms one tile; its row of position p is at to + p * step.
template <int points>
inline void transform_channels(const float* const* voxels, int64_t channels, float* to,
                               int64_t step) {
  constexpr int width = Vector::width;
  int64_t c = 0;
  for (; c + width <= channels; c += width)
    transform_tile<points>(
        voxels, [c](const float* voxel) { return load(voxel + c); }, to + c, step);
  if (c == channels) return;
  const Vector::Mask mask = first_lanes(channels - c);
  transform_tile<points>(
      voxels, [c, mask](const float* voxel) { return load(voxel + c, mask); }, to + c, step);
}

// Transforms the products of one tile and one vector of columns and writes the results.
template <int points, int outputs>
inline void finish(const Size& result, const Tile& tile, int64_t column, const float* products,
                   int64_t step, const float* bias, float leak, float* to) {
  const int64_t left = result.channels - column;
  if (left <= 0) return;
  const Vector::Mask mask = first_lanes(left < Vector::width ? left : Vector::width);
  const Vector shift = bias == nullptr ? zeros() : load(bias + column, mask);
  const Vector factor = broadcast(leak);
  float* first = to +
                 (((tile.b * result.i + tile.i) * result.j + tile.j) * result.k + tile.k) *
                     result.channels +
                 column;
  transform_back<points, outputs>(products, step, [&](int i, int j, int k, Vector value) {
    if (tile.i + i >= result.i || tile.j + j >= result.j || tile.k + k >= result.k) return;
    value = value + shift;
    value = larger(value, factor * value);
    store(value, mask, first + ((i * result.j + j) * result.k + k) * result.channels);
  });
}

template <int points, int outputs, int vectors>
void convolve_tiles(const Convolution& layer, const float* x, float* result, int threads) {
  constexpr int64_t panel = vectors * Vector::width, positions = cube(points);
  const Tiles<points, outputs> tiles(layer.size, layer.columns, panel);
  const int64_t channels = layer.size.channels, blocks = ceil_divide(tiles.count, tiles.block);
  parallel_for(blocks, threads, [&](int64_t begin, int64_t end) {
    const Buffer<float> transformed_memory(positions * tiles.step + Vector::width);
    const Buffer<float> product_memory((positions + 1) * tiles.block * panel);
    float* transformed = aligned(transformed_memory);
    float* products = aligned(product_memory);
    Buffer<float> zero(tiles.row);
    zero.fill(tiles.row, 0);
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * tiles.block;
      const int64_t count =
          tiles.count - first < tiles.block ? tiles.count - first : tiles.block;
      for (int64_t n = 0; n < count; ++n) {
        const float* voxels[positions];
        locate<points>(layer.size, tile_at(tiles, first + n), x, zero.get(), voxels);
        transform_channels<points>(voxels, channels, transformed + n * tiles.row, tiles.step);
      }
      for (int64_t column = 0; column < layer.columns; column += panel) {
        const float* weights = layer.weights + column * positions * channels;
        for (int64_t p = 0; p < positions; ++p)
          multiply<vectors>(count, transformed + p * tiles.step, tiles.row,
                            weights + p * channels * panel, channels,
                            products + p * tiles.block * panel);
        for (int64_t n = 0; n < count; ++n)
          for (int64_t v = 0; v < panel; v += Vector::width)
            finish<points, outputs>(tiles.result, tile_at(tiles, first + n), column + v,
                                    products + n * panel + v, tiles.block * panel, layer.bias,
                                    layer.leak, result);
      }
    }
  });
}

// Columns of the weights of one panel, for so many columns in all.
inline int64_t winograd_panel(int64_t columns) {
  const bool is_three = Vector::width == 8 && columns % 16 != 0 && columns % 24 == 0;
  return (is_three ? 3 : 2) * Vector::width;
}

template <int points, int outputs>
void convolve_panels(const Convolution& layer, const float* x, float* result, int threads) {
  if (winograd_panel(layer.columns) == 3 * Vector::width)
    convolve_tiles<points, outputs, 3>(layer, x, result, threads);
  else
    convolve_tiles<points, outputs, 2>(layer, x, result, threads);
}

inline void winograd(const Convolution& layer, const float* x, float* result, int threads) {
  if (layer.points == 4 && layer.taps == 2)
    convolve_panels<4, 3>(layer, x, result, threads);
  else if (layer.points == 3 && layer.taps == 2)
    convolve_panels<3, 2>(layer, x, result, threads);
  else if (layer.points == 4 && layer.taps == 3)
    convolve_panels<4, 2>(layer, x, result, threads);
}

}  // namespace

#endif
