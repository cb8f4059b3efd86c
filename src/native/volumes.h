// Volumes and displacements at the voxels of a grid that a chain maps.
#pragma once

#include "buffer.h"
#include "chain.h"
#include "parallel.h"

namespace {

using voltween::space::Box;

// Calls body(at, i, j, k, count, positions) for the blocks of all rows of a grid in a box.
template <class Body>
inline void for_rows(const Chain& chain, const Shape& onto, const Box& box, int threads,
                     const Body& body) {
  const int64_t across = box.stop[1] - box.first[1];
  parallel_for((box.stop[0] - box.first[0]) * across, threads, [&](int64_t begin, int64_t end) {
    Positions p;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t i = box.first[0] + row / across, j = box.first[1] + row % across;
      for (int64_t k = box.first[2]; k < box.stop[2]; k += kPositions) {
        const int64_t left = box.stop[2] - k, count = left < kPositions ? left : kPositions;
        map_row(chain, i, j, k, count, p);
        body((i * onto.j + j) * onto.k + k, i, j, k, count, p);
      }
    }
  });
}

template <class Body>
inline void for_rows(const Chain& chain, const Shape& onto, int threads, const Body& body) {
  for_rows(chain, onto, Box{{0, 0, 0}, {onto.i, onto.j, onto.k}}, threads, body);
}

void map(const Chain& chain, int64_t count, const double* positions, double* mapped,
         int threads) {
  const int64_t blocks = (count + kPositions - 1) / kPositions;
  parallel_for(blocks, threads, [&](int64_t begin, int64_t end) {
    Positions p;
    for (int64_t first = begin * kPositions; first < end * kPositions && first < count;
         first += kPositions) {
      const int64_t n = count - first < kPositions ? count - first : kPositions;
      for (int64_t c = 0; c < 3; ++c)
        for (int64_t at = 0; at < n; ++at) p.at[c][at] = positions[c * count + first + at];
      map_positions(chain, n, p);
      for (int64_t c = 0; c < 3; ++c)
        for (int64_t at = 0; at < n; ++at) mapped[c * count + first + at] = p.at[c][at];
    }
  });
}

inline double between(double low, double high, double share) {
  return low + (high - low) * share;
}

inline double interpolate(const Shape& shape, const float* image, double x, double y,
                          double z) {
  const Place a = place(x, shape.i), b = place(y, shape.j), c = place(z, shape.k);
  const float* first = image + (a.voxel * shape.j + b.voxel) * shape.k + c.voxel;
  const int64_t i = a.next * shape.j * shape.k, j = b.next * shape.k, k = c.next;
  const auto row = [&](int64_t at) { return between(first[at], first[at + k], c.share); };
  return between(between(row(0), row(j), b.share), between(row(i), row(i + j), b.share),
                 a.share);
}

// As `interpolate`, with `outside` in place of all voxels beyond the volume.
inline double interpolate_softly(const Shape& shape, const float* image, double outside,
                                 double x, double y, double z) {
  const double at[3] = {std::floor(x), std::floor(y), std::floor(z)};
  const double share[3] = {x - at[0], y - at[1], z - at[2]};
  double sum = 0;
  for (int64_t n = 0; n < 8; ++n) {
    const int64_t step[3] = {n >> 2, n >> 1 & 1, n & 1};
    int64_t voxel[3];
    double weight = 1;
    for (int64_t c = 0; c < 3; ++c) {
      voxel[c] = static_cast<int64_t>(at[c]) + step[c];
      weight *= step[c] ? share[c] : 1 - share[c];
    }
    const bool is_in = voxel[0] >= 0 && voxel[0] < shape.i && voxel[1] >= 0 &&
                       voxel[1] < shape.j && voxel[2] >= 0 && voxel[2] < shape.k;
    sum += weight *
           (is_in ? image[(voxel[0] * shape.j + voxel[1]) * shape.k + voxel[2]] : outside);
  }
  return sum;
}

inline bool is_between_voxels(const Shape& shape, double x, double y, double z) {
  return is_within(x, 0, static_cast<double>(shape.i - 1)) &&
         is_within(y, 0, static_cast<double>(shape.j - 1)) &&
         is_within(z, 0, static_cast<double>(shape.k - 1));
}

inline bool is_next_to(const Shape& shape, double x, double y, double z) {
  return is_within(x, -1, static_cast<double>(shape.i)) &&
         is_within(y, -1, static_cast<double>(shape.j)) &&
         is_within(z, -1, static_cast<double>(shape.k));
}

void sample(const Chain& chain, Shape onto, Shape shape, const float* image, float outside,
            bool is_soft, float* result, int threads) {
  for_rows(chain, onto, threads,
           [&](int64_t at, int64_t, int64_t, int64_t, int64_t count, const Positions& p) {
             for (int64_t n = 0; n < count; ++n) {
               const double x = p.at[0][n], y = p.at[1][n], z = p.at[2][n];
               double value = outside;
               if (is_soft ? is_between_voxels(shape, x, y, z) : is_on(shape, x, y, z))
                 value = interpolate(shape, image, x, y, z);
               else if (is_soft && is_next_to(shape, x, y, z))
                 value = interpolate_softly(shape, image, outside, x, y, z);
               result[at + n] = static_cast<float>(value);
             }
           });
}

template <class Bits>
void pick_as(const Chain& chain, Shape onto, const Box& box, Shape shape, const void* volume,
             void* result, int threads) {
  const Bits* from = static_cast<const Bits*>(volume);
  Bits* to = static_cast<Bits*>(result);
  for_rows(chain, onto, box, threads,
           [&](int64_t at, int64_t, int64_t, int64_t, int64_t count, const Positions& p) {
             for (int64_t n = 0; n < count; ++n) {
               const double x = p.at[0][n], y = p.at[1][n], z = p.at[2][n];
               to[at + n] = 0;
               if (!is_on(shape, x, y, z)) continue;
               const int64_t i = static_cast<int64_t>(std::floor(x + 0.5));
               const int64_t j = static_cast<int64_t>(std::floor(y + 0.5));
               const int64_t k = static_cast<int64_t>(std::floor(z + 0.5));
               to[at + n] = from[((i < shape.i ? i : shape.i - 1) * shape.j +
                                  (j < shape.j ? j : shape.j - 1)) *
                                     shape.k +
                                 (k < shape.k ? k : shape.k - 1)];
             }
           });
}

void pick(const Chain& chain, Shape onto, const Box& box, Shape shape, const void* volume,
          int64_t bytes, void* result, int threads) {
  if (bytes == 1) pick_as<uint8_t>(chain, onto, box, shape, volume, result, threads);
  if (bytes == 2) pick_as<uint16_t>(chain, onto, box, shape, volume, result, threads);
  if (bytes == 4) pick_as<uint32_t>(chain, onto, box, shape, volume, result, threads);
  if (bytes == 8) pick_as<uint64_t>(chain, onto, box, shape, volume, result, threads);
}

// Turns mapped voxels (i, j, k + n) into displacements times a matrix.
inline void displace(const double* scale, int64_t i, int64_t j, int64_t k, int64_t count,
                     Positions& p) {
  const double* m = scale;
  for (int64_t n = 0; n < count; ++n) {
    const double x = p.at[0][n] - static_cast<double>(i);
    const double y = p.at[1][n] - static_cast<double>(j);
    const double z = p.at[2][n] - static_cast<double>(k + n);
    for (int64_t c = 0; c < 3; ++c)
      p.at[c][n] = m[3 * c] * x + m[3 * c + 1] * y + m[3 * c + 2] * z;
  }
}

void displacements(const Chain& chain, Shape onto, const double* scale, double* result,
                   int threads) {
  for_rows(chain, onto, threads,
           [&](int64_t at, int64_t i, int64_t j, int64_t k, int64_t count, Positions& p) {
             displace(scale, i, j, k, count, p);
             for (int64_t n = 0; n < count; ++n)
               for (int64_t c = 0; c < 3; ++c) result[3 * (at + n) + c] = p.at[c][n];
           });
}

// Fills three planes, one per component, with the displacements in voxels of plane i.
inline void fill_plane(const Chain& chain, const Shape& onto, int64_t i, double* planes) {
  const int64_t voxels = onto.j * onto.k;
  Positions p;
  for (int64_t j = 0; j < onto.j; ++j)
    for (int64_t k = 0; k < onto.k; k += kPositions) {
      const int64_t count = onto.k - k < kPositions ? onto.k - k : kPositions;
      map_row(chain, i, j, k, count, p);
      for (int64_t n = 0; n < count; ++n) {
        const int64_t at = j * onto.k + k + n;
        planes[at] = p.at[0][n] - static_cast<double>(i);
        planes[voxels + at] = p.at[1][n] - static_cast<double>(j);
        planes[2 * voxels + at] = p.at[2][n] - static_cast<double>(k + n);
      }
    }
}

// Determinants in one plane, from its displacements and those of the planes beside it,
// which are the plane itself at the border.
inline void fill_determinants(const Shape& onto, const double* below, const double* here,
                              const double* above, double across, float* result) {
  const int64_t voxels = onto.j * onto.k;
  for (int64_t j = 0; j < onto.j; ++j) {
    const int64_t left = j > 0 ? -onto.k : 0, right = j + 1 < onto.j ? onto.k : 0;
    const double along = left != 0 && right != 0 ? 0.5 : 1;
    for (int64_t k = 0; k < onto.k; ++k) {
      const int64_t low = k > 0 ? -1 : 0, high = k + 1 < onto.k ? 1 : 0;
      const double within = low != 0 && high != 0 ? 0.5 : 1;
      double m[3][3];
      for (int64_t c = 0; c < 3; ++c) {
        const int64_t at = c * voxels + j * onto.k + k;
        m[c][0] = (above[at] - below[at]) * across;
        m[c][1] = (here[at + right] - here[at + left]) * along;
        m[c][2] = (here[at + high] - here[at + low]) * within;
        m[c][c] += 1;
      }
      result[j * onto.k + k] =
          static_cast<float>(m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
                             m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
                             m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]));
    }
  }
}

void determinants(const Chain& chain, Shape onto, float* result, int threads) {
  const int64_t plane = 3 * onto.j * onto.k;
  parallel_for(onto.i, threads, [&](int64_t begin, int64_t end) {
    Buffer<double> ring(3 * plane);
    const auto planes = [&](int64_t i) { return ring.get() + i % 3 * plane; };
    for (int64_t i = begin; i < end; ++i) {
      const int64_t low = i > 0 ? i - 1 : i, high = i + 1 < onto.i ? i + 1 : i;
      for (int64_t n = i == begin ? low : i + 1; n <= high; ++n)
        fill_plane(chain, onto, n, planes(n));
      fill_determinants(onto, planes(low), planes(i), planes(high), high - low == 2 ? 0.5 : 1,
                        result + i * onto.j * onto.k);
    }
  });
}

}  // namespace
