#ifndef PROC_BPF_OPEN_FILES_H_
#define PROC_BPF_OPEN_FILES_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// A descriptor of a task, as the kernel keeps it.
struct OpenFileRow {
  int number = 0;
  // The same for all descriptors of one open file, of whatever task, and for no other one.
  uint64_t open_file = 0;
  int64_t pos = 0;
  uint32_t flags = 0;  // O_CLOEXEC is the descriptor's own, as in fdinfo
  int32_t mount_id = 0;
  uint64_t inode = 0;
  // fdinfo may say more than that: of a kernel object, or a lock.
  bool says_more = false;
  // Somebody may get its signals (F_SETOWN), or other ones than SIGIO (F_SETSIG).
  bool may_be_owned = false;

  friend bool operator==(const OpenFileRow&, const OpenFileRow&) = default;
};

// What fdinfo says of one that has no more to be said (proc_pid_fdinfo(5)).
std::string FdInfoText(const OpenFileRow& row);

// Reads all descriptors of a task at once, where procfs takes five system calls for each and
// kcmp(2) some more: by a BPF program that the kernel runs for each (iter/task_file, Linux 6.1).
class BpfOpenFiles {
 public:
  // Errors: those of LoadBpfIterator; NotFound before Linux 6.12, which keeps owners elsewhere.
  static absl::StatusOr<BpfOpenFiles> Load();

  // Of the thread `tid`, ascending.
  absl::StatusOr<std::vector<OpenFileRow>> Read(pid_t tid) const;

 private:
  explicit BpfOpenFiles(UniqueFd program) : program_(std::move(program)) {}

  UniqueFd program_;
};

}  // namespace dumpctl

#endif  // PROC_BPF_OPEN_FILES_H_
