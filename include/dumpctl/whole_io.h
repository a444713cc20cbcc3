#ifndef DUMPCTL_WHOLE_IO_H_
#define DUMPCTL_WHOLE_IO_H_

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "dumpctl/unique_fd.h"

namespace dumpctl {

// read(2) and write(2) may do less than they were asked for, or end with EINTR before they have
// begun. These go on until all is done.

// The result of a call that a signal may end before it has begun, of the first that none ends.
template <typename Call>
int Uninterrupted(Call call) {
  for (;;) {
    const int result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

// As many calls of `transfer`, which gets how many bytes are done, as it takes for `size` of them,
// or until one does nothing. Returns how many are done, or -1 with errno.
template <typename Transfer>
ssize_t TransferAll(size_t size, Transfer transfer) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = transfer(done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return static_cast<ssize_t>(done);
}

// Return 0 or an errno.
inline int WriteAll(BorrowedFd file, std::span<const std::byte> bytes) {
  const ssize_t done = TransferAll(bytes.size(), [&](size_t at) {
    return write(file.get(), bytes.data() + at, bytes.size() - at);
  });
  if (done < 0) return errno;
  return static_cast<size_t>(done) == bytes.size() ? 0 : EIO;
}

inline int WriteAll(BorrowedFd file, std::string_view bytes) {
  return WriteAll(file, std::as_bytes(std::span(bytes)));
}

inline int WriteAllAt(BorrowedFd file, std::string_view bytes, uint64_t offset) {
  const ssize_t done = TransferAll(bytes.size(), [&](size_t at) {
    return pwrite(file.get(), bytes.data() + at, bytes.size() - at,
                  static_cast<off_t>(offset + at));
  });
  if (done < 0) return errno;
  return static_cast<size_t>(done) == bytes.size() ? 0 : EIO;
}

// Return how many bytes were read, less than asked for at the end of the file, or -1 with errno.
inline ssize_t ReadAll(BorrowedFd file, std::span<std::byte> bytes) {
  return TransferAll(bytes.size(), [&](size_t at) {
    return read(file.get(), bytes.data() + at, bytes.size() - at);
  });
}

inline ssize_t ReadAllAt(BorrowedFd file, std::span<std::byte> bytes, uint64_t offset) {
  return TransferAll(bytes.size(), [&](size_t at) {
    return pread(file.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(offset + at));
  });
}

}  // namespace dumpctl

#endif  // DUMPCTL_WHOLE_IO_H_
