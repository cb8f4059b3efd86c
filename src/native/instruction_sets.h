// The choice among a module's instruction sets when it is loaded.
#pragma once

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#ifdef _MSC_VER
#include <intrin.h>
#endif

namespace voltween {

#ifdef VOLTWEEN_X86
inline bool has_avx2() {
#ifdef _MSC_VER
  int leaf[4];
  __cpuidex(leaf, 1, 0);
  const bool has_fma = leaf[2] >> 12 & 1, has_xsave = leaf[2] >> 27 & 1;
  __cpuidex(leaf, 7, 0);
  return has_fma && has_xsave && (leaf[1] >> 5 & 1) && (_xgetbv(0) & 0x6) == 0x6;
#else
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
}

inline bool has_avx512() {
#ifdef _MSC_VER
  int leaf[4];
  __cpuidex(leaf, 7, 0);
  const int wanted = 1 << 16 | 1 << 17 | 1 << 30 | 1 << 31;  // F, DQ, BW, VL
  return has_avx2() && (leaf[1] & wanted) == wanted && (_xgetbv(0) & 0xe6) == 0xe6;
#else
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#endif
}

// Those of three sets that this processor has, the best first.
template <class Set>
std::vector<const Set*> supported(const Set& (*avx512)(), const Set& (*avx2)(),
                                  const Set& (*plain)()) {
  std::vector<const Set*> sets;
  if (has_avx512()) sets.push_back(&avx512());
  if (has_avx2()) sets.push_back(&avx2());
  sets.push_back(&plain());
  return sets;
}
#endif

// The set that VOLTWEEN_INSTRUCTIONS names, or else the best.
template <class Set>
const Set& chosen(const std::vector<const Set*>& sets) {
  const char* wanted = std::getenv("VOLTWEEN_INSTRUCTIONS");
  if (wanted == nullptr || *wanted == 0) return *sets.front();
  std::string names;
  for (const auto* set : sets) {
    if (std::string(wanted) == set->name) return *set;
    names += std::string(names.empty() ? "" : ", ") + set->name;
  }
  throw std::runtime_error("VOLTWEEN_INSTRUCTIONS must be one of those this processor has (" +
                           names + "), got '" + wanted + "'");
}

}  // namespace voltween
