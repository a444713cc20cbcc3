#ifndef TEST_MM_WATCHED_CHILD_H_
#define TEST_MM_WATCHED_CHILD_H_

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstddef>
#include <iterator>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "dump/mm/write_watch.h"
#include "dumpctl/kernel_abi.h"
#include "dumpctl/unique_fd.h"
#include "test/mm/mapped_child.h"

namespace dumpctl {

// For children: whose memory is to be watched.
inline void MakeUserfaultfd() {
  syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | abi::kUffdUserModeOnly);
}

// What such a child has made; the first, or another.
inline UniqueFd UserfaultfdOf(const MappedChild& child, size_t which) {
  std::set<int> numbers;
  const auto names = child.Dir().List("fd");
  EXPECT_TRUE(names.ok()) << names.status();
  for (const std::string& name : *names) {
    const auto link = child.Dir().ReadLink("fd/" + name);
    if (link.ok() && *link == "anon_inode:[userfaultfd]") numbers.insert(std::stoi(name));
  }
  EXPECT_GT(numbers.size(), which);
  const int number = which < numbers.size() ? *std::next(numbers.begin(), which) : -1;
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, child.pid(), 0)));
  return UniqueFd(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.get(), number, 0)));
}

inline absl::StatusOr<WriteWatch> WatchOf(const MappedChild& child, size_t which = 0) {
  return WriteWatch::Create(UserfaultfdOf(child, which));
}

// Writes to it from outside.
inline void WriteByte(const MappedChild& child, uint64_t page) {
  char byte = 1;
  const iovec local = {&byte, 1};
  const iovec remote = {reinterpret_cast<void*>(child.Page(page).value()), 1};
  EXPECT_EQ(process_vm_writev(child.pid(), &local, 1, &remote, 1, 0), 1);
}

}  // namespace dumpctl

#endif  // TEST_MM_WATCHED_CHILD_H_
