// Work shared among threads.
#pragma once

#include <cstdint>

namespace voltween {

// Calls part(context, n, parts) for n = 0 .. parts - 1, each in a thread of its own.
// Compiled once for the oldest processor (parallel.cpp): no code of the standard
// library may be instantiated in the kernels, where the linker could then keep the
// newest processor's copy for all.
void run_parts(int parts, void (*part)(void*, int, int), void* context);

}  // namespace voltween

namespace {

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

}  // namespace
