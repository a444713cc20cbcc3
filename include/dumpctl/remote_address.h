#ifndef DUMPCTL_REMOTE_ADDRESS_H_
#define DUMPCTL_REMOTE_ADDRESS_H_

#include <compare>
#include <cstdint>

namespace dumpctl {

// An address in another task's memory, in bytes. It cannot be dereferenced here.
class RemoteAddress {
 public:
  constexpr RemoteAddress() = default;
  constexpr explicit RemoteAddress(uint64_t value) : value_(value) {}

  constexpr uint64_t value() const { return value_; }
  constexpr explicit operator bool() const { return value_ != 0; }

  friend constexpr RemoteAddress operator+(RemoteAddress a, uint64_t bytes) {
    return RemoteAddress(a.value_ + bytes);
  }
  friend constexpr RemoteAddress operator-(RemoteAddress a, uint64_t bytes) {
    return RemoteAddress(a.value_ - bytes);
  }
  friend constexpr uint64_t operator-(RemoteAddress a, RemoteAddress b) {
    return a.value_ - b.value_;
  }
  friend constexpr auto operator<=>(RemoteAddress, RemoteAddress) = default;

 private:
  uint64_t value_ = 0;
};

}  // namespace dumpctl

#endif  // DUMPCTL_REMOTE_ADDRESS_H_
