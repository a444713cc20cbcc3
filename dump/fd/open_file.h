#ifndef DUMP_FD_OPEN_FILE_H_
#define DUMP_FD_OPEN_FILE_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"
#include "proc/bpf_open_files.h"
#include "proc/fdinfo_parser.h"

namespace dumpctl {

// Whether two descriptors of ours share one open file (offset, flags and owner), as those do that
// were made from each other by dup(2), fork(2) or SCM_RIGHTS. `with_dupfd_query`:
// KernelFeature::kDupfdQuery; else kcmp(2) is asked.
//
// FailedPrecondition when the kernel has neither (CONFIG_KCMP).
absl::StatusOr<bool> ShareOpenFile(BorrowedFd a, BorrowedFd b, bool with_dupfd_query);

// What all descriptors of one open file have in common; few others do.
using Likeness = std::tuple<dev_t, ino_t, uint32_t, uint64_t>;
Likeness LikenessOf(const struct stat& stat, const FdInfo& info);

// Tells open files apart by kcmp(2), which knows an order of them: of frozen tasks without a copy
// of each among our own descriptors, and among those, which may run into thousands that are alike.
class OpenFileIndex {
 public:
  // `with_dupfd_query`: where kcmp tells nothing, each two of our own descriptors are asked about.
  explicit OpenFileIndex(bool with_dupfd_query = false) : with_dupfd_query_(with_dupfd_query) {}
  // By the kernel's own addresses of them, which must be told of each then.
  explicit OpenFileIndex(const BpfOpenFiles& by_bpf) : by_bpf_(&by_bpf) {}

  // None where kcmp tells them apart.
  const BpfOpenFiles* by_bpf() const { return by_bpf_; }

  // The number, from 1, of the open file that descriptor `number` of `pid` refers to: the same for
  // all descriptors of it, in whatever task. FailedPrecondition without kcmp (CONFIG_KCMP).
  absl::StatusOr<uint32_t> NumberOf(pid_t pid, int number, const Likeness& likeness);

  // The same by OpenFileRow::open_file.
  uint32_t NumberOf(uint64_t open_file);

  // How many open files there were so far, which is the greatest of their numbers.
  uint32_t size() const { return last_; }

 private:
  struct Known {
    pid_t pid;
    int number;
    uint32_t open_file;
  };

  // By F_DUPFD_QUERY, of our own.
  absl::StatusOr<uint32_t> AskForEach(int number, std::vector<Known>& alike);

  bool with_dupfd_query_ = false;
  const BpfOpenFiles* by_bpf_ = nullptr;
  absl::flat_hash_map<uint64_t, uint32_t> by_address_;
  // In the kernel's order, of those that are alike.
  std::map<Likeness, std::vector<Known>> known_;
  uint32_t last_ = 0;
};

}  // namespace dumpctl

#endif  // DUMP_FD_OPEN_FILE_H_
