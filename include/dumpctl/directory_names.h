#ifndef DUMPCTL_DIRECTORY_NAMES_H_
#define DUMPCTL_DIRECTORY_NAMES_H_

#include <dirent.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dumpctl/unique_fd.h"

namespace dumpctl {

// Of what getdents64(2) gives, but "." and "..".
inline void TakeNames(std::span<const char> entries, std::vector<std::string>& names) {
  while (!entries.empty()) {
    unsigned short length = 0;
    std::memcpy(&length, entries.data() + offsetof(dirent64, d_reclen), sizeof length);
    const std::string_view name = entries.data() + offsetof(dirent64, d_name);
    if (name != "." && name != "..") names.emplace_back(name);
    entries = entries.subspan(length);
  }
}

// The names that an open directory has from where it is read on, without "." and "..", in the
// kernel's order. Returns 0 or an errno. opendir(3) asks three times more, and takes much more room
// than most need.
inline int AddNames(BorrowedFd directory, std::vector<std::string>& names) {
  constexpr size_t kMuch = 64 * 1024;
  alignas(dirent64) std::array<char, 4096> first;
  std::vector<char> more;
  std::span<char> room(first);
  for (;;) {
    const ssize_t n = getdents64(directory.get(), room.data(), room.size());
    if (n < 0) return errno;
    if (n == 0) return 0;
    const auto used = static_cast<size_t>(n);
    TakeNames(room.first(used), names);
    if (more.empty() && used > room.size() / 2) {
      more.resize(kMuch);
      room = more;
    }
  }
}

}  // namespace dumpctl

#endif  // DUMPCTL_DIRECTORY_NAMES_H_
