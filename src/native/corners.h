// Values of an image at the corners of the cells of a block.
#pragma once

#ifdef VOLTWEEN_X86
#include <xmmintrin.h>
#endif

#include "places.h"

namespace {

// Values at the eight corners of each cell of a block. Corner 4 a + 2 b + c lies a steps
// along i, b along j and c along k from the first.
template <class T>
struct Corners {
  T value[8][kBlock];
};

template <class T>
inline void gather_from(int64_t first, const T* __restrict image, const Steps& steps,
                        const Places<T>& __restrict places, int64_t count,
                        Corners<T>& __restrict corners) {
  for (int64_t n = first; n < count; ++n) {
    const T* corner = image + places.offset[n];
    const T* next = corner + steps.i;
    corners.value[0][n] = corner[0];
    corners.value[1][n] = corner[steps.k];
    corners.value[2][n] = corner[steps.j];
    corners.value[3][n] = corner[steps.j + steps.k];
    corners.value[4][n] = next[0];
    corners.value[5][n] = next[steps.k];
    corners.value[6][n] = next[steps.j];
    corners.value[7][n] = next[steps.j + steps.k];
  }
}

template <class T>
inline void gather(const T* image, const Steps& steps, const Places<T>& places, int64_t count,
                   Corners<T>& corners) {
  gather_from(0, image, steps, places, count, corners);
}

#ifdef VOLTWEEN_X86
// Neighbors along k are adjacent in memory: they are loaded in pairs, and the pairs of four
// voxels are transposed at once.
inline void gather(const float* image, const Steps& steps, const Places<float>& places,
                   int64_t count, Corners<float>& corners) {
  const auto pairs = [&](const float* at) {
    const __m128 first = _mm_loadl_pi(_mm_setzero_ps(), reinterpret_cast<const __m64*>(at));
    return _mm_loadh_pi(first, reinterpret_cast<const __m64*>(at + steps.j));
  };
  int64_t n = 0;
  for (; steps.k == 1 && n + 4 <= count; n += 4)
    for (int64_t half = 0; half < 2; ++half) {
      const float* plane = image + half * steps.i;
      __m128 a = pairs(plane + places.offset[n]), b = pairs(plane + places.offset[n + 1]);
      __m128 c = pairs(plane + places.offset[n + 2]), d = pairs(plane + places.offset[n + 3]);
      _MM_TRANSPOSE4_PS(a, b, c, d);
      _mm_storeu_ps(corners.value[4 * half] + n, a);
      _mm_storeu_ps(corners.value[4 * half + 1] + n, b);
      _mm_storeu_ps(corners.value[4 * half + 2] + n, c);
      _mm_storeu_ps(corners.value[4 * half + 3] + n, d);
    }
  gather_from(n, image, steps, places, count, corners);
}
#endif

}  // namespace
