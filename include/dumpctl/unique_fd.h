#ifndef DUMPCTL_UNIQUE_FD_H_
#define DUMPCTL_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace dumpctl {

// A file descriptor that this object owns and closes. -1 means none.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  explicit operator bool() const { return valid(); }

  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1) {
    const int old = std::exchange(fd_, fd);
    // close() is never retried: on Linux the descriptor is gone even after EINTR.
    if (old >= 0) ::close(old);
  }

 private:
  int fd_ = -1;
};

// A descriptor somebody else owns. The owner must outlive it; closing is not possible through it.
class BorrowedFd {
 public:
  explicit BorrowedFd(int fd) : fd_(fd) {}
  explicit BorrowedFd(const UniqueFd& owner) : fd_(owner.get()) {}
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace dumpctl

#endif  // DUMPCTL_UNIQUE_FD_H_
