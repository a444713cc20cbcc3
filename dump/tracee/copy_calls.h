#ifndef DUMP_TRACEE_COPY_CALLS_H_
#define DUMP_TRACEE_COPY_CALLS_H_

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/tracee/ptrace_ops.h"
#include "dump/tracee/registers_x86_64.h"
#include "dump/tracee/remote_memory.h"
#include "dump/tracee/rseq.h"
#include "dumpctl/remote_address.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// System calls that a copy of a process (ProcessCopy) makes, one after the other. Nothing of it has
// to lead home: it dies with its tracer. Only what its memory holds has to stay as it was.
//
// It stands on a system call instruction of its vDSO, and is stopped before and behind each call.
// Signals to its process group, which it is in, reach it there and are dropped. All calls must come
// from the thread that made the copy.
class CopyCalls {
 public:
  CopyCalls(CopyCalls&& other) noexcept;
  CopyCalls& operator=(CopyCalls&&) = delete;
  // A thread that was started for it ends.
  ~CopyCalls();

  // `rseq`: of the thread that the copy is one of (see FrozenThread). NotFound where its memory has
  // no vDSO.
  static absl::StatusOr<CopyCalls> Prepare(pid_t copy, const ProcDir& dir,
                                           const std::optional<RseqRegistration>& rseq);

  // What the call returned, which may be a negative errno. NotFound when the copy was killed.
  absl::StatusOr<int64_t> Run(long number, const std::array<uint64_t, 6>& arguments);
  // The same in two steps, between which others make calls beside it.
  absl::Status Start(long number, const std::array<uint64_t, 6>& arguments);
  absl::StatusOr<int64_t> Finish();
  // Whether Finish would not wait.
  bool IsDone();

  // Calls of another thread of the copy, which is started for them and shares all with it. `dir`:
  // of the copy. Errors: clone(2)'s.
  absl::StatusOr<CopyCalls> StartThread(const ProcDir& dir);

  const RemoteMemory& memory() const { return memory_; }

 private:
  CopyCalls(pid_t copy, RemoteMemory memory, RemoteAddress instruction,
            const GeneralRegisters& registers)
      : copy_(copy), memory_(std::move(memory)), instruction_(instruction), registers_(registers) {}

  // The kernel writes to the area on each way back to user space: it is told not to.
  absl::Status LeaveArea(const RseqRegistration& rseq);
  absl::Status WaitForCall();
  absl::Status LoadCall(long number, const std::array<uint64_t, 6>& arguments) const;

  // A thread of the copy, and the stop that it was seen to have come to, and nobody has looked at.
  struct Seen {
    std::optional<Stop> stop;
    bool ended = false;
  };
  // Looks once whether it has come to one.
  static absl::Status Look(pid_t tid, Seen& seen);
  // The same of one that may have been killed since it was seen to stop.
  static absl::Status LookAgain(pid_t tid, Seen& seen);
  absl::Status WaitUntilSeen();

  pid_t copy_;         // the thread that makes the calls; 0 once moved from
  bool ends_ = false;  // with this
  bool busy_ = false;  // started, and not finished
  std::shared_ptr<Seen> seen_ = std::make_shared<Seen>();
  const ProcDir* starting_ = nullptr;  // the copy, while it starts a thread that nobody knows yet
  pid_t other_ = 0;                    // of the first thread: the other one
  std::shared_ptr<Seen> seen_of_other_;
  RemoteMemory memory_;
  RemoteAddress instruction_;
  GeneralRegisters registers_;
};

}  // namespace dumpctl

#endif  // DUMP_TRACEE_COPY_CALLS_H_
