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
// While the scope lives, one thread (the host) is parked on the healer and owns 8 KiB of scratch
// memory; its end (or Close, which reports errors) unmaps that and puts every register and signal
// mask back. If dumpctl dies at any instant the threads find home by themselves: see Healer.
//
// Residue of a death: the zero bytes behind the vDSO's image may hold the healer's code.
class RemoteSyscalls {
 public:
  static constexpr size_t kSlotSize = 64;
  static constexpr size_t kSlots = Healer::kScratchSize / kSlotSize;

  // `task` must outlive the scope.
  static absl::StatusOr<RemoteSyscalls> Create(const FrozenTask& task);

  RemoteSyscalls(RemoteSyscalls&& other) noexcept;
  RemoteSyscalls& operator=(RemoteSyscalls&&) = delete;
  ~RemoteSyscalls();

  // Runs the calls one after the other in one thread, and gives their raw results (negative errno).
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
  absl::Status WriteContext(const FrozenThread& thread, Healer::Role role, uint64_t sigmask);
  absl::Status SendAway(const FrozenThread& thread, Healer::Role role);
  absl::Status BringHome(const FrozenThread& thread);
  absl::Status MapScratch();

  const FrozenTask* task_;  // null once moved from or closed
  std::unique_ptr<RemoteMemory> memory_;
  InjectionSite site_;
  Healer healer_;
  RemoteAddress scratch_;
  uint64_t host_sigmask_ = 0;
  uint64_t guest_sigmask_ = 0;
};

}  // namespace dumpctl

#endif  // DUMP_TRACEE_REMOTE_SYSCALLS_H_
