// The choice among a module's instruction sets when it is loaded.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#ifdef VOLTWEEN_X86
#ifdef _MSC_VER
#include <intrin.h>
#else
#include <cpuid.h>
#endif
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

// Writes the four registers of a leaf of CPUID.
inline void read_leaf(unsigned leaf, unsigned* registers) {
#ifdef _MSC_VER
  __cpuid(reinterpret_cast<int*>(registers), static_cast<int>(leaf));
#else
  __cpuid(leaf, registers[0], registers[1], registers[2], registers[3]);
#endif
}

// The processor's name and its signature: family, model and stepping, which differ between
// processors that a virtual machine gives one name.
inline std::string processor() {
  unsigned name[13] = {}, signature[4];
  for (unsigned n = 0; n < 3; ++n) read_leaf(0x80000002 + n, name + 4 * n);
  read_leaf(1, signature);
  char text[64];
  std::snprintf(text, sizeof text, "%s (%x)", reinterpret_cast<const char*>(name),
                signature[0]);
  return text;
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
#else
inline std::string processor() { return ""; }
#endif

// The set that the environment asks for; empty if it leaves the choice to us.
inline std::string wanted_set() {
  const char* wanted = std::getenv("VOLTWEEN_INSTRUCTIONS");
  return wanted == nullptr ? "" : wanted;
}

template <class Set>
const Set& named(const std::vector<const Set*>& sets, const std::string& name) {
  std::string names;
  for (const auto* set : sets) {
    if (name == set->name) return *set;
    names += std::string(names.empty() ? "" : ", ") + set->name;
  }
  throw std::runtime_error("VOLTWEEN_INSTRUCTIONS must be one of those this processor has (" +
                           names + "), got '" + name + "'");
}

// The set that the environment asks for, or else the best.
template <class Set>
const Set& chosen(const std::vector<const Set*>& sets) {
  const std::string wanted = wanted_set();
  return wanted.empty() ? *sets.front() : named(sets, wanted);
}

}  // namespace voltween
