#include "dump/fd/open_file.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "dumpctl/failure.h"
#include "dumpctl/kernel_abi.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::Status NoKcmp() {
  return MakeFailure(Failure::kHost, absl::StatusCode::kFailedPrecondition,
                     "the kernel does not tell which descriptors share an open file: kcmp(2) "
                     "(CONFIG_KCMP) or F_DUPFD_QUERY (Linux 6.10) is needed");
}

}  // namespace

Likeness LikenessOf(const struct stat& stat, const FdInfo& info) {
  return Likeness(stat.st_dev, stat.st_ino, info.flags & ~static_cast<uint32_t>(O_CLOEXEC),
                  info.pos);
}

absl::StatusOr<uint32_t> OpenFileIndex::NumberOf(pid_t pid, int number, const Likeness& likeness) {
  std::vector<Known>& alike = known_[likeness];
  size_t first = 0;
  for (size_t end = alike.size(); first < end;) {
    const size_t middle = first + (end - first) / 2;
    const Known& known = alike[middle];
    const long order = syscall(SYS_kcmp, pid, known.pid, KCMP_FILE, number, known.number);
    if (order == 0) return known.open_file;
    // 1 and 2: the first is the lesser or the greater one. Others say that there is no order.
    if (order != 1 && order != 2) {
      if (!with_dupfd_query_ || pid != getpid()) return NoKcmp();
      return AskForEach(number, alike);
    }
    (order == 1 ? end : first) = order == 1 ? middle : middle + 1;
  }
  alike.insert(alike.begin() + static_cast<std::ptrdiff_t>(first), {pid, number, ++last_});
  return last_;
}

uint32_t OpenFileIndex::NumberOf(uint64_t open_file) {
  const auto [known, is_new] = by_address_.emplace(open_file, last_ + 1);
  if (is_new) ++last_;
  return known->second;
}

absl::StatusOr<uint32_t> OpenFileIndex::AskForEach(int number, std::vector<Known>& alike) {
  for (const Known& known : alike) {
    ASSIGN_OR_RETURN(const bool same,
                     ShareOpenFile(BorrowedFd(known.number), BorrowedFd(number), true));
    if (same) return known.open_file;
  }
  alike.push_back({getpid(), number, ++last_});
  return last_;
}

absl::StatusOr<bool> ShareOpenFile(BorrowedFd a, BorrowedFd b, bool with_dupfd_query) {
  if (with_dupfd_query) {
    const int same = fcntl(a.get(), abi::kFDupfdQuery, b.get());
    if (same < 0) return absl::ErrnoToStatus(errno, "F_DUPFD_QUERY");
    return same == 1;
  }
  const long order = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a.get(), b.get());
  if (order < 0) return NoKcmp();
  return order == 0;
}

}  // namespace dumpctl
