#ifndef DUMP_SESSION_SHARED_MEMORY_H_
#define DUMP_SESSION_SHARED_MEMORY_H_

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <new>
#include <span>

#include "absl/status/status.h"

namespace dumpctl {

// One T in memory that processes see which are started afterwards, and it goes with the object
// here. T has to be of use to several processes (std::atomic) and to need no destruction. Whoever
// guards it is a member behind it, so that it ends first.
template <typename T>
class SharedMemory {
 public:
  SharedMemory() = default;
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  ~SharedMemory() { Free(); }

  // A fresh one, in place of one that there may have been.
  absl::Status Make() {
    Free();
    void* memory =
        mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return absl::ErrnoToStatus(errno, "memory that is shared");
    value_ = new (memory) T;
    return absl::OkStatus();
  }

  explicit operator bool() const { return value_ != nullptr; }
  T* get() const { return value_; }
  T* operator->() const { return value_; }

 private:
  void Free() {
    if (value_ != nullptr) munmap(value_, sizeof(T));
    value_ = nullptr;
  }

  T* value_ = nullptr;
};

// So many T, the same way, that begin as zeros, which has to be a T. What is not touched takes no
// memory.
template <typename T>
class SharedArray {
 public:
  SharedArray() = default;
  SharedArray(const SharedArray&) = delete;
  SharedArray& operator=(const SharedArray&) = delete;
  ~SharedArray() { Free(); }

  absl::Status Make(size_t count) {
    Free();
    void* memory = mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return absl::ErrnoToStatus(errno, "memory that is shared");
    values_ = {static_cast<T*>(memory), count};
    return absl::OkStatus();
  }

  std::span<T> get() const { return values_; }

 private:
  void Free() {
    if (!values_.empty()) munmap(values_.data(), values_.size_bytes());
    values_ = {};
  }

  std::span<T> values_;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_SHARED_MEMORY_H_
