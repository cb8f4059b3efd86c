// Work shared among threads.
#pragma once

#include <cstdint>

namespace voltween {

// Calls part(context, n, parts) for n = 0 .. parts - 1, each in a separate thread. It is
// compiled once, for the oldest processor (parallel.cpp). The kernels must not instantiate
// templates of the standard library: of several copies the linker keeps one, which could
// be the newest processor's, for all instruction sets.
void run_parts(int parts, void (*part)(void*, int, int), void* context);

}  // namespace voltween

namespace {

// Calls body(begin, end) for consecutive parts of 0 .. count - 1, at most one per thread.
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
      [](void* context, int n, int of) {
        const Work& whole = *static_cast<Work*>(context);
        const int64_t begin = whole.count * n / of, end = whole.count * (n + 1) / of;
        (*whole.body)(begin, end);
      },
      &work);
}

}  // namespace
