#ifndef DUMP_MM_WRITE_WATCH_H_
#define DUMP_MM_WRITE_WATCH_H_

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/mm/page_split.h"
#include "dump/tracee/remote_syscalls.h"
#include "dumpctl/unique_fd.h"
#include "proc/kernel_features.h"
#include "proc/pagemap.h"
#include "proc/proc_fs.h"
#include "proc/vma_list.h"

namespace dumpctl {

// Whether writes to such a mapping are watched: private memory of ordinary pages. Contents of
// shared memory are saved whole (SharedObject).
bool CanWatch(const Vma& vma);

// Which pages of an address space are written, told by a userfaultfd that was made in it
// (asynchronous write protection, Linux 6.7): the kernel lets a write to a protected page through,
// takes the protection away, and so remembers it. Nobody handles anything. The first write to a
// page costs its writer about 1 us; a huge page that is written to becomes small ones. As long as
// the descriptor is open somewhere this goes on; smaps shows "uw" of such mappings, and the kernel
// does not merge new ones with them. Nor does it do so afterwards, once both were written to, so
// that an mremap(2) over what else were one mapping fails with EFAULT (6.18, too, which may move
// several at once, but grows none of them, and moves none that is watched).
class WriteWatch {
 public:
  // `userfaultfd`: new. FailedPrecondition (Failure::kHost) where the kernel cannot do it.
  static absl::StatusOr<WriteWatch> Create(UniqueFd userfaultfd);
  // The same, made in the frozen process that `calls` are of.
  static absl::StatusOr<WriteWatch> CreateIn(RemoteSyscalls& calls);
  // One that was made ready before.
  static WriteWatch Adopt(UniqueFd userfaultfd) { return WriteWatch(std::move(userfaultfd)); }

  BorrowedFd fd() const { return BorrowedFd(fd_); }

  // Whether the address space is still there: execve(2) makes another one.
  bool IsAlive() const { return IsAlive(fd()); }
  static bool IsAlive(BorrowedFd userfaultfd);

  // Lets the writes to all private mappings of the task be watched that are not yet. All pages of
  // these count as written. The kernel may join some with their neighbours, so that the task's maps
  // have to be read (again) afterwards. Unavailable when somebody else watches one; NotFound when
  // the address space is gone.
  absl::Status AddAll(const ProcDir& task, const KernelFeatures& features) const;
  // The same of all mappings in [start, end), of the process of `pagemap`. It may run: what is
  // mapped there meanwhile may be left out, and is not told to be watched then (Pagemap). Other
  // errors: one is of a kind that cannot be watched, or nothing is mapped there.
  absl::Status Add(RemoteAddress start, RemoteAddress end, const Pagemap& pagemap) const;

  // Ends the watch over all mappings of the task, piece by piece, since the kernel holds up the
  // task for each. Closing does the same at one go, some 70 ms a GiB. Where another userfaultfd is
  // registered it stays.
  void End(const ProcDir& task, const KernelFeatures& features);

 private:
  explicit WriteWatch(UniqueFd fd) : fd_(std::move(fd)) {}

  absl::Status Register(RemoteAddress start, RemoteAddress end) const;
  // False where another one's is, and nothing is done.
  bool Unregister(RemoteAddress start, RemoteAddress end) const;

  UniqueFd fd_;
};

// What may have been written since it was protected last, and all mappings that nobody watches, of
// which nobody knows. Ascending. A frozen task's; what somebody else writes meanwhile (by
// process_vm_writev(2), say) is found now or the next time. `protect`: all is protected again, for
// the next time.
absl::StatusOr<std::vector<AddressRange>> FindDirty(const ProcDir& task, const VmaList& vmas,
                                                    const KernelFeatures& features, bool protect);

// Takes "uw" out of the flags of mappings where it says that writes are watched, and no more: no
// handler answers there, so that a restore lacks nothing. Of all others it stays.
absl::Status LeaveOutWatch(const ProcDir& task, const KernelFeatures& features,
                           std::vector<MappingFlags>& flags);

}  // namespace dumpctl

#endif  // DUMP_MM_WRITE_WATCH_H_
