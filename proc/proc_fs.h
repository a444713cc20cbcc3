#ifndef PROC_PROC_FS_H_
#define PROC_PROC_FS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// One task's (or thread's) directory in procfs, held open. Holding the directory pins the task's
// identity: once the task is reaped every access says ESRCH or ENOENT, even if its pid is reused.
//
// All names are relative to the directory ("maps", "fd/3", "map_files/400000-401000"). Errors:
// NotFound when the task or the name is gone, PermissionDenied when the kernel says so.
//
// Copies share the descriptor: there may be thousands of tasks.
class ProcDir {
 public:
  static absl::StatusOr<ProcDir> OpenTask(pid_t pid);
  // Our own: opened once, and kept until we end. (A child of ours opens its own, each time.)
  static absl::StatusOr<ProcDir> OpenOwn();
  // /proc itself, for files that belong to no task ("sys/kernel/cap_last_cap"), and for one file
  // alone of a task ("4711/stat"). Opened once, and kept until we end.
  static absl::StatusOr<ProcDir> OpenRoot();

  // The directory of one of this task's threads (task/TID).
  absl::StatusOr<ProcDir> OpenThread(pid_t tid) const;

  // Reads until end of file. Files of procfs have no size, and some (maps) change between two
  // reads: the whole text is read in as few calls as the kernel allows.
  absl::StatusOr<std::string> Read(std::string_view name) const;
  // The same piece by piece, where not all of a long text is wanted. Ends early with the first
  // error that `take` returns.
  absl::Status ReadPieces(std::string_view name,
                          absl::FunctionRef<absl::Status(std::string_view)> take) const;
  // The same for a file that the kernel makes in one piece (status, comm, ...): when less is read
  // than was asked for, there is no more, and no call is spent on finding that out.
  absl::StatusOr<std::string> ReadWhole(std::string_view name) const;
  absl::StatusOr<std::string> ReadLink(std::string_view name) const;
  absl::StatusOr<UniqueFd> Open(std::string_view name, int flags) const;
  // Names in a subdirectory, without "." and "..", in the kernel's order.
  absl::StatusOr<std::vector<std::string>> List(std::string_view name) const;

  BorrowedFd fd() const { return BorrowedFd(handle_->dir); }
  // "/proc/123" or "/proc/123/task/125": for error messages.
  const std::string& path() const { return handle_->path; }

 private:
  struct Handle {
    UniqueFd dir;
    std::string path;
  };

  ProcDir(UniqueFd dir, std::string path)
      : handle_(std::make_shared<const Handle>(Handle{std::move(dir), std::move(path)})) {}

  absl::Status Error(int error, std::string_view name) const;

  std::shared_ptr<const Handle> handle_;
};

// Numeric names only ("task", "fd"): what List gives for directories of pids or descriptors.
absl::StatusOr<std::vector<int>> ListNumbers(const ProcDir& dir, std::string_view name);

// The file of one of a process's threads. Of the leader it is the process's own: "status" and
// "cgroup" say the same there, and the kernel makes no second one for who looks.
std::string ThreadFile(pid_t pid, pid_t tid, const char* name);

// How many threads a process has, by one call: what links to its "task" has, less a directory's own
// two (proc_task_getattr, Linux 2.6.0). 0: the kernel does not say, or the process is gone.
size_t CountThreads(const ProcDir& process);
// Their ids, of whom the only one is the leader.
absl::StatusOr<std::vector<int>> ListThreads(const ProcDir& process, pid_t pid);

}  // namespace dumpctl

#endif  // PROC_PROC_FS_H_
