#ifndef DUMP_TRACEE_REMOTE_SYSCALLS_H_
#define DUMP_TRACEE_REMOTE_SYSCALLS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/tracee/frozen_task.h"
#include "dump/tracee/healer_x86_64.h"
#include "dump/tracee/injection_site.h"
#include "dump/tracee/remote_memory.h"

namespace dumpctl {

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
// While the scope lives, one thread (the host) is parked on the healer and owns scratch memory; its
// end (or Close, which reports errors) unmaps that and puts every register and signal mask back. If
// dumpctl dies at any instant the threads find home by themselves: see Healer.
//
// Residue of a death: the zero bytes behind the vDSO's image may hold the healer's code.
class RemoteSyscalls {
 public:
  // One half of the scratch memory holds slots, the other the calls themselves.
  static constexpr size_t kSlotSize = 64;
  static constexpr size_t kSlots = Healer::kScratchSize / 2 / kSlotSize;
  static constexpr size_t kMostCalls = kSlots - 1;

  // `task` must outlive the scope.
  static absl::StatusOr<RemoteSyscalls> Create(const FrozenTask& task);

  RemoteSyscalls(RemoteSyscalls&& other) noexcept;
  RemoteSyscalls& operator=(RemoteSyscalls&&) = delete;
  ~RemoteSyscalls();

  // Runs the calls (kMostCalls at most) one after the other in one thread, and gives their raw
  // results (negative errno). The thread works through all of them by itself; see StopSignal.
  absl::StatusOr<std::vector<int64_t>> Run(const FrozenThread& thread,
                                           std::span<const RemoteCall> calls);

  // Slots keep what the last Run wrote.
  uint64_t SlotAddress(size_t slot) const { return (scratch_ + slot * kSlotSize).value(); }
  absl::StatusOr<std::vector<std::byte>> ReadSlots(size_t count) const;

  absl::Status Close();

 private:
  RemoteSyscalls(const FrozenTask* task, std::unique_ptr<RemoteMemory> memory, InjectionSite site)
      : task_(task), memory_(std::move(memory)), site_(site), healer_(site.address()) {}

  const FrozenThread& host() const { return task_->threads().front(); }
  // A signal by which a thread can tell that it has worked through its table, or 0. It must be one
  // that the process ignores and the thread does not block: a tracer sees even such a signal, and
  // where the tracer has died, the kernel drops it.
  int StopSignal(uint64_t sigmask) const;
  absl::Status RunTable(const FrozenThread& thread, Healer::Role role, size_t count,
                        int stop_signal);

  RemoteAddress table() const { return scratch_ + Healer::kScratchSize / 2; }
  absl::Status WriteContext(const FrozenThread& thread, Healer::Role role, uint64_t sigmask);
  absl::Status SendAway(const FrozenThread& thread, Healer::Role role, int stop_signal);
  absl::Status BringHome(const FrozenThread& thread);
  absl::Status MapScratch();

  const FrozenTask* task_;  // null once moved from or closed
  std::unique_ptr<RemoteMemory> memory_;
  InjectionSite site_;
  Healer healer_;
  RemoteAddress scratch_;
  uint64_t caught_ = 0;  // signals with a handler, bit 0 = signal 1
  uint64_t host_sigmask_ = 0;
  uint64_t guest_sigmask_ = 0;
};

}  // namespace dumpctl

#endif  // DUMP_TRACEE_REMOTE_SYSCALLS_H_
