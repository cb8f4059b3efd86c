// Regularity of a flow, value and gradient in one call: its variation, and the lack of its
// Jacobian determinant to a least one.
#pragma once

#include "apart.h"
#include "buffer.h"
#include "flow.h"
#include "lanes.h"
#include "parallel.h"
#include "size.h"

namespace {

using voltween::Size;

// Slope along i or j, from rows that lie `low` before and `high` after (0 at the border).
struct Reach {
  int64_t low, high;
  double share;
  Reach(int64_t at, int64_t voxels, int64_t step)
      : low(at > 0 ? step : 0),
        high(at + 1 < voxels ? step : 0),
        share(at > 0 && at + 1 < voxels ? 0.5 : 1) {}
};

// Fills `slopes` with those of one component along i, j and k, in a row. Row n starts at
// n * count.
template <class T>
inline void fill_slopes(const T* here, const Reach& by_i, const Reach& by_j, int64_t count,
                        T* __restrict slopes) {
  const T share_i = static_cast<T>(by_i.share), share_j = static_cast<T>(by_j.share);
  for (int64_t k = 0; k < count; ++k) {
    slopes[k] = share_i * (here[k + by_i.high] - here[k - by_i.low]);
    slopes[count + k] = share_j * (here[k + by_j.high] - here[k - by_j.low]);
  }
  T* along_k = slopes + 2 * count;
  for (int64_t k = 1; k + 1 < count; ++k) along_k[k] = T(0.5) * (here[k + 1] - here[k - 1]);
  along_k[0] = slope_at(here, 0, count, 1);
  along_k[count - 1] = slope_at(here + count - 1, count - 1, count, 1);
}

// Fills `lack` with what the determinants of a row lack to `least`, or 0. Returns its sum.
template <class T>
VOLTWEEN_APART double fill_lack(const T* __restrict slopes, int64_t count, T least,
                                T* __restrict lack) {
  const T* s = slopes;
  for (int64_t k = 0; k < count; ++k) {
    const T a = 1 + s[k], b = s[k + count], c = s[k + 2 * count];
    const T d = s[k + 3 * count], e = 1 + s[k + 4 * count], f = s[k + 5 * count];
    const T g = s[k + 6 * count], h = s[k + 7 * count], i = 1 + s[k + 8 * count];
    const T missing = least - (a * (e * i - f * h) + b * (f * g - d * i) + c * (d * h - e * g));
    lack[k] = missing <= 0 ? T(0) : missing;  // also where it is not a number
  }
  return sum_in_lanes<double>(count, [=](int64_t k) { return lack[k]; });
}

// The lacks of one row of a flow.
template <class T>
class Lacks {
 public:
  Lacks(const Size& size, const T* flow, T least)
      : size_(size), flow_(flow), least_(least), slopes_(9 * size.k), lack_(size.k) {}

  // Computes them for row (i, j), and returns their sum.
  double measure(int64_t i, int64_t j) {
    const Reach by_i(i, size_.i, plane_of(size_)), by_j(j, size_.j, size_.k);
    for (int64_t c = 0; c < 3; ++c)
      fill_slopes(flow_ + c * voxels_of(size_) + (i * size_.j + j) * size_.k, by_i, by_j,
                  size_.k, slopes_.get() + 3 * c * size_.k);
    return fill_lack(slopes_.get(), size_.k, least_, lack_.get());
  }

  // Adds their gradient, times `scale`, to that of row (to_i, to_j): the same row or one
  // next to it.
  void add_gradient(int64_t i, int64_t j, int64_t to_i, int64_t to_j, T scale, T* gradient) {
    measure(i, j);
    const T by_i = slope_weight<T>(i, to_i, size_.i), by_j = slope_weight<T>(j, to_j, size_.j);
    for (int64_t k = 0; k < size_.k; ++k) {
      if (!(lack_[k] > 0)) continue;
      T m[3][3];
      fill_derivative(size_, flow_, i, j, k, m);
      for (int64_t c = 0; c < 3; ++c) {
        T* row = gradient + c * voxels_of(size_) + (to_i * size_.j + to_j) * size_.k;
        if (j == to_j) row[k] -= scale * by_i * cofactor(m, c, 0);
        if (i == to_i) row[k] -= scale * by_j * cofactor(m, c, 1);
        if (i != to_i || j != to_j) continue;
        for (int64_t to = k > 0 ? k - 1 : 0; to < size_.k && to <= k + 1; ++to)
          row[to] -= scale * slope_weight<T>(k, to, size_.k) * cofactor(m, c, 2);
      }
    }
  }

 private:
  Size size_;
  const T* flow_;
  T least_;
  Buffer<T> slopes_, lack_;
};

// Sum of the squared forward differences of row (i, j), all components. Adds their
// gradient, times `scale`, to that of the row.
template <class T>
inline double add_row_variation(const Size& size, const T* update, int64_t i, int64_t j,
                                T scale, T* gradient) {
  const int64_t plane = plane_of(size), row = size.k;
  const int64_t above = i > 0 ? plane : 0, below = i + 1 < size.i ? plane : 0;
  const int64_t left = j > 0 ? row : 0, right = j + 1 < size.j ? row : 0;
  const T twice = 2 * scale;
  double sum = 0;
  for (int64_t c = 0; c < 3; ++c) {
    const int64_t at = c * voxels_of(size) + (i * size.j + j) * row;
    const T* here = update + at;
    T* __restrict to = gradient + at;
    for (int64_t k = 0; k < row; ++k)
      to[k] += twice * (4 * here[k] - here[k - above] - here[k + below] - here[k - left] -
                        here[k + right]);
    for (int64_t k = 1; k + 1 < row; ++k)
      to[k] += twice * (2 * here[k] - here[k - 1] - here[k + 1]);
    if (row > 1) {
      to[0] += twice * (here[0] - here[1]);
      to[row - 1] += twice * (here[row - 1] - here[row - 2]);
    }
    sum += row_variation(size, here, i + 1 < size.i, j + 1 < size.j);
  }
  return sum;
}

// Sum of the squared forward differences of a flow; adds their gradient, times `scale`.
template <class T>
void add_variation(Size size, const T* flow, double scale, double* sum, T* gradient,
                   int threads) {
  const int64_t planes = size.batch * size.i, item = 3 * voxels_of(size);
  Buffer<double> plane_sums(planes);
  parallel_for(planes, threads, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const int64_t at = p / size.i * item;
      plane_sums[p] = 0;
      for (int64_t j = 0; j < size.j; ++j)
        plane_sums[p] += add_row_variation(size, flow + at, p % size.i, j,
                                           static_cast<T>(scale), gradient + at);
    }
  });
  *sum = 0;
  for (int64_t p = 0; p < planes; ++p) *sum += plane_sums[p];
}

// Sum of what the Jacobian determinant of x + flow(x) lacks to `least`; adds its gradient,
// times `scale`. Few voxels lack anything: only around them is the gradient computed.
template <class T>
void add_folding(Size size, const T* flow, double least, double scale, double* sum, T* gradient,
                 int threads) {
  const int64_t rows = size.i * size.j, item = 3 * voxels_of(size);
  Buffer<double> lacks(rows);
  *sum = 0;
  for (int64_t b = 0; b < size.batch; ++b) {
    const T* of_item = flow + b * item;
    parallel_for(rows, threads, [&](int64_t begin, int64_t end) {
      Lacks<T> row_lacks(size, of_item, static_cast<T>(least));
      for (int64_t r = begin; r < end; ++r)
        lacks[r] = row_lacks.measure(r / size.j, r % size.j);
    });
    parallel_for(rows, threads, [&](int64_t begin, int64_t end) {
      Lacks<T> row_lacks(size, of_item, static_cast<T>(least));
      for (int64_t r = begin; r < end; ++r) {
        const int64_t i = r / size.j, j = r % size.j;
        const int64_t around[5][2] = {{i - 1, j}, {i, j - 1}, {i, j}, {i, j + 1}, {i + 1, j}};
        for (const auto& [from_i, from_j] : around) {
          if (from_i < 0 || from_j < 0 || from_i >= size.i || from_j >= size.j) continue;
          if (lacks[from_i * size.j + from_j] != 0)
            row_lacks.add_gradient(from_i, from_j, i, j, static_cast<T>(scale),
                                   gradient + b * item);
        }
      }
    });
    for (int64_t r = 0; r < rows; ++r) *sum += lacks[r];
  }
}

}  // namespace
