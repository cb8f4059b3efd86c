#include "parallel.h"

#ifdef _OPENMP
#include <omp.h>
#else
#include <thread>
#include <vector>
#endif

namespace voltween {

#ifdef _OPENMP

// Where this module and PyTorch link to the same OpenMP library, both share one pool of
// waiting threads.
void run_parts(int parts, void (*part)(void*, int, int), void* context) {
#pragma omp parallel for num_threads(parts) schedule(static, 1)
  for (int n = 0; n < parts; ++n) part(context, n, parts);
}

#else

void run_parts(int parts, void (*part)(void*, int, int), void* context) {
  std::vector<std::thread> threads;
  for (int n = 1; n < parts; ++n) threads.emplace_back(part, context, n, parts);
  part(context, 0, parts);
  for (auto& thread : threads) thread.join();
}

#endif

}  // namespace voltween
