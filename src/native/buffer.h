// Memory for one call of a kernel.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace {

// An uninitialized array, freed at the end of its scope. Running out of memory ends the
// process: an exception must not leave the thread of a kernel.
template <class T>
class Buffer {
 public:
  explicit Buffer(int64_t size) : data_(static_cast<T*>(std::malloc(bytes(size)))) {
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
  // malloc(0) may return a null pointer.
  static size_t bytes(int64_t size) {
    return sizeof(T) * static_cast<size_t>(size > 0 ? size : 1);
  }

  T* data_;
};

}  // namespace
