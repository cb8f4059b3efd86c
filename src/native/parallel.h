// Work shared among threads, memory for one call, and sizes.
#pragma once

#include <cstdint>
#include <cstdlib>

#include "kernels.h"

namespace voltween {

// Calls part(context, n, parts) for n = 0 .. parts - 1, each in a thread of its own.
// Compiled once for the oldest processor (parallel.cpp): no code of the standard
// library may be instantiated in the kernels, where the linker could then keep the
// newest processor's copy for all.
void run_parts(int parts, void (*part)(void*, int, int), void* context);

}  // namespace voltween

namespace {

// Not members of Size: those would be one function for all instruction sets.
inline int64_t plane_of(const voltween::Size& size) { return size.j * size.k; }
inline int64_t voxels_of(const voltween::Size& size) { return size.i * size.j * size.k; }

// Calls body(begin, end) on consecutive pieces of 0 .. count - 1.
template <class Body>
void parallel_for(int64_t count, int threads, const Body& body) {
  struct Work {
    int64_t count;
    const Body* body;
  } work{count, &body};
  const int parts = static_cast<int>(count < threads ? count : threads);
  if (parts <= 1) {
    body(int64_t{0}, count);
    return;
  }
  voltween::run_parts(
      parts,
      [](void* context, int part, int parts) {
        const Work& work = *static_cast<Work*>(context);
        const int64_t begin = work.count * part / parts;
        const int64_t end = work.count * (part + 1) / parts;
        (*work.body)(begin, end);
      },
      &work);
}

// Uninitialised numbers, freed at the end of the scope. Running out of memory inside a
// thread cannot be thrown through it, so it ends the process like any other such end.
template <class T>
class Buffer {
 public:
  explicit Buffer(int64_t size)
      : data_(static_cast<T*>(
            std::malloc(sizeof(T) * static_cast<size_t>(size > 0 ? size : 1)))) {
    if (data_ == nullptr) std::abort();
  }
  ~Buffer() { std::free(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  void fill(int64_t size, T value) {
    for (int64_t n = 0; n < size; ++n) data_[n] = value;
  }
  T* get() const { return data_; }
  T& operator[](int64_t n) const { return data_[n]; }

 private:
  T* data_;
};

}  // namespace
