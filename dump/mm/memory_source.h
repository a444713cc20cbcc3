#ifndef DUMP_MM_MEMORY_SOURCE_H_
#define DUMP_MM_MEMORY_SOURCE_H_

#include <sys/types.h>

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/image/page_run.h"
#include "dumpctl/remote_address.h"
#include "dumpctl/unique_fd.h"
#include "proc/proc_fs.h"
#include "proc/vma_list.h"

namespace dumpctl {

// Where the contents of one task's pages come from. Thread-safe.
class MemorySource {
 public:
  virtual ~MemorySource() = default;

  // Fills `bytes` with the pages of `runs`, one run behind the other; `bytes` is as long as they
  // are. Errors: NotFound (Failure::kTargetDied) when the task is gone, Unimplemented
  // (Failure::kRefused) when a page cannot be read.
  virtual absl::Status Read(std::span<const PageRun> runs, std::span<std::byte> bytes) const = 0;

  // What of `runs` (ascending), which have been read, could not be, and is zeros by that;
  // ascending.
  virtual std::vector<PageRun> MissedAmong(std::span<const PageRun> /*runs*/) const { return {}; }
};

// From the frozen task itself: process_vm_readv(2), many runs a call; and /proc/PID/mem for
// mappings without read permission, which only the latter overrides.
class FrozenTaskMemory final : public MemorySource {
 public:
  static absl::StatusOr<FrozenTaskMemory> Open(pid_t pid, const ProcDir& task, const VmaList& vmas);
  // From one that shares pages copy-on-write, as forked processes do and our copies, by
  // /proc/PID/mem alone: process_vm_readv pins what it reads, and since Linux 5.19 a page that is
  // shared so is copied for that first, which takes memory of the task's cgroup.
  static absl::StatusOr<FrozenTaskMemory> OpenSharing(pid_t pid, const ProcDir& task);
  FrozenTaskMemory(FrozenTaskMemory&&) noexcept;
  FrozenTaskMemory& operator=(FrozenTaskMemory&&) = delete;
  ~FrozenTaskMemory() override;

  absl::Status Read(std::span<const PageRun> runs, std::span<std::byte> bytes) const override;

 private:
  struct Range {
    RemoteAddress start;
    RemoteAddress end;
  };
  // Part of a run that is read one way.
  struct Piece {
    RemoteAddress end;
    bool readable;
  };
  class Batch;

  // /proc/PID/mem, opened when it is first read: most have nothing in what they may not read.
  class Mem;

  FrozenTaskMemory(pid_t pid, std::unique_ptr<Mem> mem, std::vector<Range> unreadable);

  Piece PieceAt(RemoteAddress start) const;
  absl::Status ReadByForce(RemoteAddress address, std::span<std::byte> bytes) const;

  pid_t pid_;
  std::unique_ptr<Mem> mem_;
  std::vector<Range> unreadable_;  // ascending
};

// From a task that runs, whose writes are watched (WriteWatch), so that what it changes meanwhile
// is saved once more by the next dump: by /proc/PID/mem, which stays with the address space that
// the task had when this was opened. What is there no more reads as zeros: it is never told from
// what was written.
class LivingTaskMemory final : public MemorySource {
 public:
  // `shares`: see FrozenTaskMemory::OpenSharing.
  static absl::StatusOr<LivingTaskMemory> Open(pid_t pid, const ProcDir& task, bool shares);

  absl::Status Read(std::span<const PageRun> runs, std::span<std::byte> bytes) const override;

  std::vector<PageRun> MissedAmong(std::span<const PageRun> runs) const override;
  // The same of all that was read so far.
  std::vector<PageRun> Missed() const;

 private:
  // By more than one thread. Much may be given back at once, and takes no more memory here than
  // little.
  struct Misses {
    void Add(RemoteAddress page);

    std::mutex mutex;
    std::map<RemoteAddress, PageRun> runs;  // by their starts
  };

  LivingTaskMemory(pid_t pid, UniqueFd mem, bool shares)
      : pid_(pid), mem_(std::move(mem)), shares_(shares), misses_(std::make_unique<Misses>()) {}

  bool ReadTogether(std::span<const PageRun> runs, std::span<std::byte> bytes) const;
  absl::Status ReadRun(RemoteAddress address, std::span<std::byte> bytes) const;

  pid_t pid_;
  UniqueFd mem_;
  bool shares_;
  std::unique_ptr<Misses> misses_;
};

}  // namespace dumpctl

#endif  // DUMP_MM_MEMORY_SOURCE_H_
