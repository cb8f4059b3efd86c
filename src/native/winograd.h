// Convolutions of stride 1 by Winograd's minimal filtering, all arrays with channels
// last. A tile of outputs^3 voxels of the result takes points^3 products per pair of
// channels, as many products of matrices [tiles x channels] x [channels x columns]. Tiles
// are processed in blocks that fit into a core's cache, from the inputs to the results.
#pragma once

#include "buffer.h"
#include "gradient_parts.h"
#include "kernels.h"
#include "parallel.h"
#include "size.h"
#include "winograd_product.h"
#include "winograd_results.h"
#include "winograd_transforms.h"

#ifdef VOLTWEEN_VECTORS

namespace {

// Numbers of a block: half a megabyte, of the cache of a core.
constexpr int64_t kCacheNumbers = 128 << 10;

// Voxels by which the result is longer than the inputs.
inline int64_t growth_of(const Convolution& layer) {
  return 2 * layer.padding + 1 - layer.taps;
}

// The tiles of a result, in order, and the memory for a block of them.
template <int points, int outputs>
struct Tiles {
  int64_t i, j, k, count;
  int64_t row;    // numbers of a transformed tile per position
  int64_t block;  // tiles
  int64_t step;   // numbers of a transformed block per position

  Tiles(const Size& inputs, int64_t growth, int64_t panel, int threads)
      : i(ceil_divide(inputs.i + growth, outputs)),
        j(ceil_divide(inputs.j + growth, outputs)),
        k(ceil_divide(inputs.k + growth, outputs)),
        count(inputs.batch * i * j * k),
        row(ceil_divide(inputs.channels, Vector::width) * Vector::width) {
    const int64_t rows = product_rows(static_cast<int>(panel / Vector::width));
    const int64_t fit = kCacheNumbers / (cube(points) * (row + panel)) / rows * rows;
    const int64_t share = ceil_divide(ceil_divide(count, threads), rows) * rows;
    block = fit < rows ? rows : fit < share ? fit : share;
    step = block * row + Vector::width;  // no power of 2, which would share cache lines
  }
};

inline float* aligned(const Buffer<float>& buffer) {
  constexpr uintptr_t bytes = sizeof(Vector);
  return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(buffer.get()) + bytes - 1) /
                                  bytes * bytes);
}

template <int points, int outputs>
inline Tile tile_at(const Tiles<points, outputs>& tiles, int64_t number) {
  return {number / (tiles.i * tiles.j * tiles.k),
          number / (tiles.j * tiles.k) % tiles.i * outputs,
          number / tiles.k % tiles.j * outputs, number % tiles.k * outputs};
}

// Addresses of the voxels that a tile reads; `zero` outside the grid.
template <int points>
inline void locate(const Size& size, int padding, const Tile& tile, const float* x,
                   const float* zero, const float** voxels) {
  for (int i = 0; i < points; ++i)
    for (int j = 0; j < points; ++j)
      for (int k = 0; k < points; ++k) {
        const int64_t ii = tile.i + i - padding, jj = tile.j + j - padding,
                      kk = tile.k + k - padding;
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

template <int points, int outputs, int vectors, class Result>
void convolve_tiles(const Convolution& layer, const float* x, const Result& result,
                    int threads) {
  constexpr int64_t panel = vectors * Vector::width, positions = cube(points);
  const Tiles<points, outputs> tiles(layer.size, growth_of(layer), panel, threads);
  const int64_t channels = layer.size.channels, blocks = ceil_divide(tiles.count, tiles.block);
  parallel_for(blocks, threads, [&](int64_t begin, int64_t end) {
    const Buffer<float> transformed_memory(positions * tiles.step + Vector::width);
    const Buffer<float> product_memory((positions + 1) * tiles.block * panel);
    float* transformed = aligned(transformed_memory);
    float* products = aligned(product_memory);
    Buffer<float> zero(tiles.row);
    zero.fill(tiles.row, 0);
    Result results = result;
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * tiles.block;
      const int64_t count =
          tiles.count - first < tiles.block ? tiles.count - first : tiles.block;
      for (int64_t n = 0; n < count; ++n) {
        const float* voxels[positions];
        locate<points>(layer.size, layer.padding, tile_at(tiles, first + n), x, zero.get(),
                       voxels);
        transform_channels<points>(voxels, channels, transformed + n * tiles.row, tiles.step);
      }
      for (int64_t column = 0; column < layer.columns; column += panel) {
        const float* weights = layer.weights + column * positions * channels;
        for (int64_t p = 0; p < positions; ++p)
          multiply<vectors>(count, transformed + p * tiles.step, tiles.row,
                            weights + p * channels * panel, channels,
                            products + p * tiles.block * panel);
        for (int64_t n = 0; n < count; ++n) {
          const Tile tile = tile_at(tiles, first + n);
          for (int64_t v = 0; v < panel; v += Vector::width)
            results.template write<points, outputs>(tile, column + v, products + n * panel + v,
                                                    tiles.block * panel);
          if (column + panel >= layer.columns) results.template complete<outputs>(tile);
        }
      }
    }
  });
}

// Columns of the weights of one panel: of two vectors or three, those that leave the fewest
// lanes empty for so many columns in all.
inline int64_t winograd_panel(int64_t columns) {
  constexpr int64_t two = 2 * Vector::width, three = 3 * Vector::width;
  if (columns <= Vector::width) return Vector::width;
  return ceil_divide(columns, two) * two <= ceil_divide(columns, three) * three ? two : three;
}

template <int points, int outputs, class Result>
void convolve_panels(const Convolution& layer, const float* x, const Result& result,
                     int threads) {
  const int64_t vectors = winograd_panel(layer.columns) / Vector::width;
  if (vectors == 1)
    convolve_tiles<points, outputs, 1>(layer, x, result, threads);
  else if (vectors == 2)
    convolve_tiles<points, outputs, 2>(layer, x, result, threads);
  else
    convolve_tiles<points, outputs, 3>(layer, x, result, threads);
}

template <class Result>
void convolve_to(const Convolution& layer, const float* x, const Result& result, int threads) {
  if (layer.points == 4 && layer.taps == 2)
    convolve_panels<4, 3>(layer, x, result, threads);
  else if (layer.points == 3 && layer.taps == 2)
    convolve_panels<3, 2>(layer, x, result, threads);
  else if constexpr (requires { result.bias; })  // only phases have 2 taps
    convolve_panels<4, 2>(layer, x, result, threads);
}

inline Size doubled(const Size& size, int64_t channels) {
  return {size.batch, channels, 2 * size.i, 2 * size.j, 2 * size.k};
}

inline void winograd(const Convolution& layer, const float* x, const float* bias, float leak,
                     float* result, int threads) {
  const Size& size = layer.size;
  const int64_t growth = growth_of(layer);
  const Size grid{size.batch, layer.columns, size.i + growth, size.j + growth, size.k + growth};
  convolve_to(layer, x, PlainResult{grid, bias, leak, result}, threads);
}

inline void winograd_join(const Convolution& layer, const float* x, int64_t skips,
                          const float* skip, const float* prediction, float leak, float* joined,
                          int threads) {
  const JoinedResult result{
      doubled(layer.size, layer.columns / 8), skips, skip, prediction, leak, joined};
  convolve_to(layer, x, result, threads);
}

inline void winograd_flow(const Convolution& layer, const float* x, float scale, float* flow,
                          int threads) {
  const Size fine = doubled(layer.size, layer.columns / 8);
  convolve_to(layer, x, FlowResult{fine, scale, flow, {}}, threads);
}

}  // namespace

#endif
