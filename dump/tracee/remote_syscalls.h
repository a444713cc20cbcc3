#ifndef DUMP_TRACEE_REMOTE_SYSCALLS_H_
#define DUMP_TRACEE_REMOTE_SYSCALLS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/tracee/away_thread.h"
#include "dump/tracee/frozen_task.h"
#include "dump/tracee/healer_x86_64.h"
#include "dump/tracee/injection_site.h"
#include "dump/tracee/remote_memory.h"
#include "dump/tracee/thread_answers.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

class AsideThread;

// One system call to run in the task. Its result memory, if it has any, is a slot of the scratch
// memory: RemoteSyscalls::SlotAddress.
struct RemoteCall {
  long number = 0;
  std::array<uint64_t, 6> arguments = {};
};

// The right to run system calls in a frozen task: a scope. Only calls that ask, never calls that
// change anything or that use a restart block, may be run: the thread's own interrupted call must
// be able to go on.
//
// The thread that calls are run in is away from its program, on the healer, and owns scratch
// memory, until calls are run in another one or the scope ends (Close reports errors); then the
// memory is unmapped and every register and the signal mask are put back. If dumpctl dies at any
// instant the thread finds home by itself: see Healer.
//
// Residue of a death: the zero bytes behind the vDSO's image may hold the healer's code.
class RemoteSyscalls {
 public:
  static constexpr size_t kSlotSize = sizeof(Healer::TableEntry::slot);
  static constexpr size_t kScratchSize = Healer::kScratchSize;
  static constexpr size_t kMostCalls = Healer::kScratchSize / sizeof(Healer::TableEntry);

  // `task` must outlive the scope.
  static absl::StatusOr<RemoteSyscalls> Create(const FrozenTask& task);
  // The same, but does not wait until the leader has gone away, so that those of several tasks do
  // that beside each other: any call below waits for it, or Settle. `caught`: the signals that the
  // task has handlers for, bit 0 = signal 1 (SigCgt of status).
  static absl::StatusOr<RemoteSyscalls> Start(const FrozenTask& task, uint64_t caught);
  absl::Status Settle();

  RemoteSyscalls(RemoteSyscalls&& other) noexcept;
  RemoteSyscalls& operator=(RemoteSyscalls&&) = delete;
  ~RemoteSyscalls();

  // Runs the calls (kMostCalls at most) one after the other in one thread, and gives their raw
  // results (negative errno). The thread works through all of them by itself; see AwayThread.
  absl::StatusOr<std::vector<int64_t>> Run(const FrozenThread& thread,
                                           std::span<const RemoteCall> calls);
  // The same in two steps, between which the thread runs beside others.
  absl::Status StartRun(const FrozenThread& thread, std::span<const RemoteCall> calls);
  absl::StatusOr<std::vector<int64_t>> FinishRun();

  // What the task's /proc/PID/auxv holds.
  const std::string& auxv() const { return auxv_; }

  // kScratchSize bytes of the task that nobody uses between two calls of this. Not to be kept over
  // a call with another thread.
  RemoteAddress scratch() const { return scratch_; }

  // Each call of a Run has a slot of its own to write to, the first call the first slot. In every
  // thread they have the same addresses.
  uint64_t SlotAddress(size_t slot) const {
    return (scratch_ + slot * sizeof(Healer::TableEntry) + offsetof(Healer::TableEntry, slot))
        .value();
  }
  // What the last Run wrote: slots one behind the other. OutOfRange for more than it had calls.
  absl::StatusOr<std::vector<std::byte>> ReadSlots(size_t count) const;

  // Lets the threads answer for themselves, as many at a time as there are places for; the answers
  // come in the order of `threads`. One that cannot answer beside others gives none: Run can ask
  // it. Nor does one whose answers the kernel has given (FrozenThread::row).
  absl::StatusOr<std::vector<std::optional<ThreadAnswers>>> Interview(
      std::span<const FrozenThread> threads);

  // Lets the thread make a copy-on-write copy of its process, which shares its descriptors, sends
  // no signal when it ends, and stands, traced by us; see ProcessCopy. None of the calls above has
  // such an effect on the task. Errors: clone(2)'s.
  struct Copied {
    pid_t pid = 0;
    pid_t pid_inside = 0;  // in the task's pid namespace
  };
  absl::StatusOr<Copied> Copy(const FrozenThread& thread);
  // The same of a process that has the task's very memory, and no copy of it.
  absl::StatusOr<Copied> MakeBeside(const FrozenThread& thread);
  // Where our code stands meanwhile, in the copy as well.
  const InjectionSite& site() const { return site_; }

  // Runs a call that opens something, and takes what it has opened: in a thread that is started for
  // it, has a copy of the descriptor table, and ends with it. So the process has no such descriptor
  // at any instant, whenever we die, and no child of it inherits one. The thread lives some 100 us;
  // whoever lists threads then sees one more. The copy is made as by fork(2).
  //
  // FailedPrecondition (Failure::kHost) where the kernel gives no descriptor of a thread (before
  // Linux 6.9, PIDFD_THREAD); the call's errno when that fails.
  absl::StatusOr<UniqueFd> OpenAside(long number, const std::array<uint64_t, 3>& arguments);
  // The same of a call that opens nothing, but may change the credentials of who makes it: those of
  // a thread are its own, and the descriptor table is not. Gives its raw result. Errors:
  // ResourceExhausted where there can be no such thread.
  absl::StatusOr<int64_t> AskAside(long number, const std::array<uint64_t, 3>& arguments);

  absl::Status Close();
  // Does not wait for all of it; Close does.
  absl::Status StartClose();

 private:
  RemoteSyscalls(const FrozenTask* task, std::unique_ptr<RemoteMemory> memory, InjectionSite site)
      : task_(task), memory_(std::move(memory)), site_(site), healer_(site.address()) {}

  size_t Places() const { return (site_.size() - Healer::kCodeSize) / Healer::kPlaceSize; }
  // A signal by which a thread can tell that it has done something, or 0; see AwayThread.
  int StopSignal(uint64_t sigmask) const;
  // Writes the thread's context into a place.
  absl::Status Prepare(size_t place, const FrozenThread& thread) const;
  // Sends the thread away and lets it map the scratch memory: Settle waits for that.
  absl::Status Leave(const FrozenThread& thread);
  absl::Status StartMapping();
  // Lets the thread that is away do something; gives the registers it has then.
  absl::StatusOr<GeneralRegisters> Do(const Healer::Task& task);
  absl::Status ComeHome();
  // As far as it can without waiting for the last step.
  absl::Status StartComingHome();
  // Sees to it that calls are run in this thread, which is there.
  absl::Status SendAway(const FrozenThread& thread);
  absl::StatusOr<Copied> Clone(const FrozenThread& thread, uint64_t flags);
  // A new thread, stopped; its number as we see it. `shares`: see Healer::Spawn.
  absl::StatusOr<pid_t> Spawn(uint64_t shares);
  // When it has been born, what it is to do.
  absl::Status SetAside(const AsideThread& thread, pid_t tid, long number,
                        const std::array<uint64_t, 3>& arguments) const;
  // Of all that there are slots for in the scratch memory: what they tell with registers, and what
  // they answer. None of them may be the thread that is away.
  absl::StatusOr<std::vector<GeneralRegisters>> LetTell(
      std::span<const FrozenThread* const> threads) const;
  absl::StatusOr<std::vector<std::optional<ThreadAnswers>>> AskBeside(
      std::span<const FrozenThread* const> threads) const;

  const FrozenTask* task_;  // null once moved from or closed
  std::unique_ptr<RemoteMemory> memory_;
  InjectionSite site_;
  Healer healer_;
  std::string auxv_;
  RemoteAddress scratch_;           // null until it is known
  uint64_t caught_ = 0;             // signals with a handler, bit 0 = signal 1
  std::optional<AwayThread> away_;  // one that calls are run in, on the first place
  // What it does, and has not been waited for.
  enum class Doing { kNothing, kMapping, kRunning, kUnmapping };
  Doing doing_ = Doing::kNothing;
  RemoteAddress wanted_;                  // where it maps
  bool mapped_ = false;                   // by it
  std::vector<Healer::TableEntry> done_;  // the last Run's
};

}  // namespace dumpctl

#endif  // DUMP_TRACEE_REMOTE_SYSCALLS_H_
