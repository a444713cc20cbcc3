#ifndef DUMP_SESSION_COPY_GUARDIAN_H_
#define DUMP_SESSION_COPY_GUARDIAN_H_

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/session/guardian.h"
#include "dump/session/shared_memory.h"
#include "dump/tracee/process_copy.h"

namespace dumpctl {

// Sees to it that no zombie of a copy (see ProcessCopy) is left in a process when we are killed: by
// a guardian that lets the process wait for it then.
class CopyGuardian {
 public:
  CopyGuardian() = default;
  CopyGuardian(const CopyGuardian&) = delete;
  CopyGuardian& operator=(const CopyGuardian&) = delete;

  // For copies of a tree of so many processes, which may have grown a little by the time. To be
  // called early: see PeekGuardian::Start.
  absl::Status Start(size_t processes);

  // A copy, and its number.
  struct Guarded {
    size_t number;
    ProcessCopy copy;
  };
  // Has `make` make a copy of a process, which was started at `start_time` (see TaskStat): should
  // we be killed meanwhile, or afterwards, it is seen to. Errors: of `make`; ResourceExhausted
  // where there are more at a time than a tree of that size has.
  absl::StatusOr<Guarded> Guard(pid_t maker, uint64_t start_time,
                                absl::FunctionRef<absl::StatusOr<ProcessCopy>()> make);
  // There is none, or none any more.
  void Done(size_t copy);
  // Lets its maker, which runs and is frozen for that moment, wait for one that has ended. An error
  // names what is left.
  absl::Status ReapNow(size_t copy);

 private:
  // Before one is made, and when it was.
  absl::StatusOr<size_t> Begin(pid_t maker, uint64_t start_time);
  void Made(size_t copy, pid_t pid_inside);

  enum State : int { kNone, kBegun, kMade };
  struct Entry {
    std::atomic<int> state;
    pid_t maker;
    pid_t pid_inside;
    uint64_t start_time;
    uint64_t begun;  // clock ticks after boot
  };

  // The number of one that is free.
  absl::StatusOr<size_t> FindFree() const;
  std::span<Entry> used() const { return entries_.get().first(*used_.get()); }

  // What the guardian does, as a process with our memory.
  static void ReapAllOf(void* guardian);
  void ReapAll() const;
  absl::Status Reap(const Entry& entry) const;
  bool ReapApart(const Entry& entry) const;
  absl::StatusOr<pid_t> FindCopy(const Entry& entry) const;
  bool IsAnother(const Entry& entry, pid_t pid_inside) const;

  SharedMemory<std::atomic<size_t>> used_;
  SharedArray<Entry> entries_;
  Guardian guardian_;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_COPY_GUARDIAN_H_
