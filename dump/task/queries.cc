#include "dump/task/queries.h"

#include <linux/keyctl.h>
#include <linux/membarrier.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// Younger than Debian 12's headers.
constexpr uint64_t kPrGetMdwe = 66;
constexpr uint64_t kMembarrierGetRegistrations = 1 << 9;
constexpr uint64_t kKernelSigsetSize = 8;

// A batch of calls, each with a slot of its own for what it writes.
class Batch {
 public:
  explicit Batch(RemoteSyscalls& calls) : calls_(calls) {}

  uint64_t slot() const { return calls_.SlotAddress(batch_.size()); }
  // Gives the call's index.
  size_t Add(long number, std::array<uint64_t, 6> arguments) {
    batch_.push_back({number, arguments});
    return batch_.size() - 1;
  }
  absl::Status Run(const FrozenThread& thread) {
    ASSIGN_OR_RETURN(results_, calls_.Run(thread, batch_));
    ASSIGN_OR_RETURN(slots_, calls_.ReadSlots(batch_.size()));
    return absl::OkStatus();
  }
  int64_t result(size_t index) const { return results_[index]; }
  template <typename T>
  T written(size_t index) const {
    static_assert(sizeof(T) <= RemoteSyscalls::kSlotSize);
    T value;
    std::memcpy(&value, slots_.data() + index * RemoteSyscalls::kSlotSize, sizeof value);
    return value;
  }
  // An error that names the call, when it failed.
  absl::Status Check(size_t index, const char* what, pid_t tid) const {
    if (results_[index] >= 0) return absl::OkStatus();
    return absl::ErrnoToStatus(static_cast<int>(-results_[index]),
                               absl::StrCat(what, " run in thread ", tid));
  }

 private:
  RemoteSyscalls& calls_;
  std::vector<RemoteCall> batch_;
  std::vector<int64_t> results_;
  std::vector<std::byte> slots_;
};

absl::Status AskSignals(RemoteSyscalls& calls, const FrozenThread& leader,
                        ProcessAnswers& answers) {
  Batch batch(calls);
  std::vector<int> signals;
  for (int signal = 1; signal <= kSignals; ++signal) {
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    signals.push_back(signal);
    batch.Add(SYS_rt_sigaction,
              {static_cast<uint64_t>(signal), 0, batch.slot(), kKernelSigsetSize});
  }
  std::array<size_t, 3> itimers;
  for (size_t which = 0; which < itimers.size(); ++which) {
    itimers[which] = batch.Add(SYS_getitimer, {which, batch.slot()});
  }
  RETURN_IF_ERROR(batch.Run(leader));
  for (size_t i = 0; i < signals.size(); ++i) {
    RETURN_IF_ERROR(batch.Check(i, "rt_sigaction", leader.tid));
    answers.sigactions[static_cast<size_t>(signals[i] - 1)] = batch.written<KernelSigaction>(i);
  }
  for (size_t which = 0; which < itimers.size(); ++which) {
    RETURN_IF_ERROR(batch.Check(itimers[which], "getitimer", leader.tid));
    answers.itimers[which] = batch.written<itimerval>(itimers[which]);
  }
  return absl::OkStatus();
}

absl::Status AskTimers(RemoteSyscalls& calls, const FrozenThread& leader,
                       const std::vector<int>& ids, ProcessAnswers& answers) {
  constexpr size_t kAtOnce = RemoteSyscalls::kMostCalls / 2;
  for (size_t begin = 0; begin < ids.size(); begin += kAtOnce) {
    const size_t end = std::min(ids.size(), begin + kAtOnce);
    Batch batch(calls);
    for (size_t i = begin; i < end; ++i) {
      const auto id = static_cast<uint64_t>(ids[i]);
      batch.Add(SYS_timer_gettime, {id, batch.slot()});
      batch.Add(SYS_timer_getoverrun, {id});
    }
    RETURN_IF_ERROR(batch.Run(leader));
    for (size_t i = begin; i < end; ++i) {
      const size_t call = (i - begin) * 2;
      RETURN_IF_ERROR(batch.Check(call, "timer_gettime", leader.tid));
      RETURN_IF_ERROR(batch.Check(call + 1, "timer_getoverrun", leader.tid));
      answers.posix_timers.push_back({.id = ids[i],
                                      .value = batch.written<itimerspec>(call),
                                      .overrun = static_cast<int>(batch.result(call + 1))});
    }
  }
  return absl::OkStatus();
}

// Call by call: an error then names the call.
absl::StatusOr<ThreadAnswers> AskThread(RemoteSyscalls& calls, const FrozenThread& thread) {
  Batch batch(calls);
  const size_t altstack = batch.Add(SYS_sigaltstack, {0, batch.slot()});
  const size_t tid_address = batch.Add(SYS_prctl, {PR_GET_TID_ADDRESS, batch.slot()});
  const size_t pdeath = batch.Add(SYS_prctl, {PR_GET_PDEATHSIG, batch.slot()});
  const size_t securebits = batch.Add(SYS_prctl, {PR_GET_SECUREBITS});
  RETURN_IF_ERROR(batch.Run(thread));
  RETURN_IF_ERROR(batch.Check(altstack, "sigaltstack", thread.tid));
  RETURN_IF_ERROR(batch.Check(tid_address, "PR_GET_TID_ADDRESS", thread.tid));
  RETURN_IF_ERROR(batch.Check(pdeath, "PR_GET_PDEATHSIG", thread.tid));
  RETURN_IF_ERROR(batch.Check(securebits, "PR_GET_SECUREBITS", thread.tid));
  const auto stack = batch.written<stack_t>(altstack);
  return ThreadAnswers{.altstack_base = reinterpret_cast<uint64_t>(stack.ss_sp),
                       .altstack_size = stack.ss_size,
                       .altstack_flags = static_cast<uint32_t>(stack.ss_flags),
                       .clear_child_tid = batch.written<uint64_t>(tid_address),
                       .pdeath_signal = batch.written<uint32_t>(pdeath),
                       .securebits = static_cast<uint32_t>(batch.result(securebits))};
}

}  // namespace

absl::StatusOr<ProcessAnswers> AskProcess(RemoteSyscalls& calls, const FrozenThread& leader,
                                          const std::vector<int>& timer_ids) {
  ProcessAnswers answers;
  RETURN_IF_ERROR(AskSignals(calls, leader, answers));
  RETURN_IF_ERROR(AskTimers(calls, leader, timer_ids, answers));
  Batch batch(calls);
  const size_t brk = batch.Add(SYS_brk, {0});
  const size_t dumpable = batch.Add(SYS_prctl, {PR_GET_DUMPABLE});
  const size_t subreaper = batch.Add(SYS_prctl, {PR_GET_CHILD_SUBREAPER, batch.slot()});
  const size_t thp = batch.Add(SYS_prctl, {PR_GET_THP_DISABLE});
  const size_t mdwe = batch.Add(SYS_prctl, {kPrGetMdwe});
  const size_t membarrier = batch.Add(SYS_membarrier, {kMembarrierGetRegistrations});
  // Without making one.
  const size_t keyring = batch.Add(
      SYS_keyctl,
      {KEYCTL_GET_KEYRING_ID, static_cast<uint64_t>(int64_t{KEY_SPEC_SESSION_KEYRING}), 0});
  RETURN_IF_ERROR(batch.Run(leader));
  answers.session_keyring = static_cast<int32_t>(std::max<int64_t>(0, batch.result(keyring)));
  answers.brk = static_cast<uint64_t>(batch.result(brk));
  RETURN_IF_ERROR(batch.Check(dumpable, "PR_GET_DUMPABLE", leader.tid));
  answers.dumpable = static_cast<int>(batch.result(dumpable));
  RETURN_IF_ERROR(batch.Check(subreaper, "PR_GET_CHILD_SUBREAPER", leader.tid));
  answers.child_subreaper = batch.written<int>(subreaper) != 0;
  RETURN_IF_ERROR(batch.Check(thp, "PR_GET_THP_DISABLE", leader.tid));
  answers.thp_disabled = batch.result(thp) != 0;
  // These two are newer than the oldest kernel we serve; EINVAL means that there is nothing.
  answers.memory_deny_write_execute =
      static_cast<uint32_t>(std::max<int64_t>(0, batch.result(mdwe)));
  answers.membarrier_registrations =
      static_cast<uint32_t>(std::max<int64_t>(0, batch.result(membarrier)));
  return answers;
}

absl::StatusOr<std::vector<ThreadAnswers>> AskThreads(RemoteSyscalls& calls,
                                                      std::span<const FrozenThread> threads) {
  ASSIGN_OR_RETURN(const auto told, calls.Interview(threads));
  std::vector<ThreadAnswers> answers;
  answers.reserve(threads.size());
  for (size_t i = 0; i < threads.size(); ++i) {
    if (told[i]) {
      answers.push_back(*told[i]);
    } else {
      ASSIGN_OR_RETURN(answers.emplace_back(), AskThread(calls, threads[i]));
    }
  }
  return answers;
}

}  // namespace dumpctl
