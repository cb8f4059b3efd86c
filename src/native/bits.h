// The bits of a number, read as a number of another type.
#pragma once

#include <cstring>

namespace {

// std::bit_cast would be an instantiation of the standard library; see parallel.h.
template <class To, class From>
inline To bits_as(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To result;
  std::memcpy(&result, &value, sizeof result);
  return result;
}

}  // namespace
