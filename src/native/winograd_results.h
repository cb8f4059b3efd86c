// Where the results of minimal filtering go. Each of these types has write(), which takes
// the products of a tile for one vector of columns, and complete(), called after the last.
#pragma once

#include "interleave.h"
#include "kernels.h"
#include "size.h"
#include "winograd_transforms.h"

#ifdef VOLTWEEN_VECTORS

namespace {

using voltween::Convolution;
using voltween::Size;

struct Tile {
  int64_t b, i, j, k;  // item and first voxel of the result
};

// The result as it is, channels last, after the bias and the leaky ReLU.
struct PlainResult {
  Size size;
  const float* bias;
  float leak;
  float* to;

  template <int points, int outputs>
  inline void write(const Tile& tile, int64_t column, const float* products, int64_t step) {
    const int64_t left = size.channels - column;
    if (left <= 0) return;
    const Vector::Mask mask = first_lanes(left < Vector::width ? left : Vector::width);
    const Vector shift = bias == nullptr ? zeros() : load(bias + column, mask);
    const Vector factor = broadcast(leak);
    float* first =
        to +
        (((tile.b * size.i + tile.i) * size.j + tile.j) * size.k + tile.k) * size.channels +
        column;
    transform_back<points, outputs>(products, step, [&](int i, int j, int k, Vector value) {
      if (tile.i + i >= size.i || tile.j + j >= size.j || tile.k + k >= size.k) return;
      value = value + shift;
      value = larger(value, factor * value);
      store(value, mask, first + ((i * size.j + j) * size.k + k) * size.channels);
    });
  }

  template <int outputs>
  inline void complete(const Tile&) {}
};

// Calls body(i, j, k) for the voxels of the fine grid that a
// tile of phases holds: phase p at a is voxel 2 a - p.
template <int outputs, class Body>
inline void for_fine_voxels(const Size& fine, const Tile& tile, const Body& body) {
  for (int64_t i = 2 * tile.i - 1; i < 2 * (tile.i + outputs) - 1; ++i)
    for (int64_t j = 2 * tile.j - 1; j < 2 * (tile.j + outputs) - 1; ++j) {
      if (i < 0 || j < 0 || i >= fine.i || j >= fine.j) continue;
      for (int64_t k = 2 * tile.k - 1; k < 2 * (tile.k + outputs) - 1; ++k)
        if (k >= 0 && k < fine.k) body(i, j, k);
    }
}

// [skip, leaky features, prediction] on the fine grid (see interleave.h), where the result
// is the phases of the features. The features must be full vectors.
struct JoinedResult {
  Size fine;  // channels: those of the features
  int64_t skips;
  const float* skip;
  const float* prediction;  // phases
  float leak;
  float* to;

  int64_t channels() const { return skips + fine.channels + 3; }

  template <int points, int outputs>
  inline void write(const Tile& tile, int64_t column, const float* products, int64_t step) {
    if (column >= 8 * fine.channels) return;
    const int64_t phase = column / fine.channels, channel = column % fine.channels;
    const int64_t i0 = 2 * tile.i - (phase >> 2), j0 = 2 * tile.j - (phase >> 1 & 1),
                  k0 = 2 * tile.k - (phase & 1);
    const Vector factor = broadcast(leak);
    transform_back<points, outputs>(products, step, [&](int i, int j, int k, Vector value) {
      const int64_t ii = i0 + 2 * i, jj = j0 + 2 * j, kk = k0 + 2 * k;
      if (ii < 0 || jj < 0 || kk < 0 || ii >= fine.i || jj >= fine.j || kk >= fine.k) return;
      const int64_t voxel = ((tile.b * fine.i + ii) * fine.j + jj) * fine.k + kk;
      store(larger(value, factor * value), to + voxel * channels() + skips + channel);
    });
  }

  template <int outputs>
  inline void complete(const Tile& tile) {
    for_fine_voxels<outputs>(fine, tile, [&](int64_t i, int64_t j, int64_t k) {
      const int64_t voxel = ((tile.b * fine.i + i) * fine.j + j) * fine.k + k;
      float* joined = to + voxel * channels();
      copy(skip + voxel * skips, skips, joined);
      copy(prediction + phase_offset(fine, tile.b, i, j, k, 3), 3,
           joined + skips + fine.channels);
    });
  }
};

// An array (batch, channels, i, j, k) of at most 3 channels, such as a flow, times `scale`,
// where the result is its phases. All columns are one panel.
struct FlowResult {
  static constexpr int row = 32;  // numbers of the phases

  Size fine;
  float scale;
  float* to;
  alignas(64) float phases[27 * row];

  template <int points, int outputs>
  inline void write(const Tile&, int64_t column, const float* products, int64_t step) {
    transform_back<points, outputs>(products, step, [&](int i, int j, int k, Vector value) {
      store(value, phases + ((i * outputs + j) * outputs + k) * row + column);
    });
  }

  template <int outputs>
  inline void complete(const Tile& tile) {
    const int64_t i0 = 2 * tile.i - 1, j0 = 2 * tile.j - 1, k0 = 2 * tile.k - 1;
    const int64_t first = k0 < 0 ? 1 : 0;
    const int64_t last = fine.k - k0 < 2 * outputs ? fine.k - k0 : 2 * outputs;
    for (int i = 0; i < 2 * outputs; ++i)
      for (int j = 0; j < 2 * outputs; ++j) {
        if (i0 + i < 0 || j0 + j < 0 || i0 + i >= fine.i || j0 + j >= fine.j) continue;
        const float* from = phases + (i / 2 * outputs + j / 2) * outputs * row +
                            fine.channels * (4 * (1 - i % 2) + 2 * (1 - j % 2));
        for (int64_t c = 0; c < fine.channels; ++c) {
          float* line =
              to +
              (((tile.b * fine.channels + c) * fine.i + i0 + i) * fine.j + j0 + j) * fine.k +
              k0;
          for (int64_t k = first; k < last; ++k)
            line[k] = scale * from[k / 2 * row + fine.channels * (1 - k % 2) + c];
        }
      }
  }
};

}  // namespace

#endif
