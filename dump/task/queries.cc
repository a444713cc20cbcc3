#include "dump/task/queries.h"

#include <linux/membarrier.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// Younger than Debian 12's headers.
constexpr uint64_t kPrGetMdwe = 66;
constexpr uint64_t kPersonalityOnly = 0xffffffff;  // asks for it, and leaves it (personality(2))
constexpr uint64_t kMembarrierGetRegistrations = 1 << 9;
constexpr uint64_t kKernelSigsetSize = 8;

ThreadAnswers AnswersOf(const ThreadRow& row) {
  return ThreadAnswers{.altstack_base = row.altstack_base,
                       .altstack_size = row.altstack_size,
                       .altstack_flags = row.altstack_flags,
                       .clear_child_tid = row.clear_child_tid,
                       .pdeath_signal = row.pdeath_signal,
                       .securebits = row.securebits};
}

}  // namespace

// Not of the unnamed namespace, for LeaderQuestions consists of them.

// A batch of calls, each with a slot of its own for what it writes.
class CallBatch {
 public:
  explicit CallBatch(RemoteSyscalls& calls, pid_t tid) : calls_(&calls), tid_(tid) {}

  uint64_t slot() const { return calls_->SlotAddress(batch_.size()); }
  // Gives the call's index.
  size_t Add(long number, std::array<uint64_t, 6> arguments) {
    batch_.push_back({number, arguments});
    return batch_.size() - 1;
  }
  absl::Status Start(const FrozenThread& thread) { return calls_->StartRun(thread, batch_); }
  absl::Status Finish() {
    ASSIGN_OR_RETURN(results_, calls_->FinishRun());
    ASSIGN_OR_RETURN(slots_, calls_->ReadSlots(batch_.size()));
    return absl::OkStatus();
  }
  absl::Status Run(const FrozenThread& thread) {
    RETURN_IF_ERROR(Start(thread));
    return Finish();
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
  absl::Status Check(size_t index, const char* what) const {
    if (results_[index] >= 0) return absl::OkStatus();
    return absl::ErrnoToStatus(static_cast<int>(-results_[index]),
                               absl::StrCat(what, " run in thread ", tid_));
  }

 private:
  RemoteSyscalls* calls_;
  pid_t tid_;
  std::vector<RemoteCall> batch_;
  std::vector<int64_t> results_;
  std::vector<std::byte> slots_;
};

// What a thread is asked of itself.
struct ThreadQuestions {
  explicit ThreadQuestions(CallBatch& batch)
      : altstack(batch.Add(SYS_sigaltstack, {0, batch.slot()})),
        tid_address(batch.Add(SYS_prctl, {PR_GET_TID_ADDRESS, batch.slot()})),
        pdeath(batch.Add(SYS_prctl, {PR_GET_PDEATHSIG, batch.slot()})),
        securebits(batch.Add(SYS_prctl, {PR_GET_SECUREBITS})) {}

  absl::StatusOr<ThreadAnswers> AnswersIn(const CallBatch& batch) const {
    RETURN_IF_ERROR(batch.Check(altstack, "sigaltstack"));
    RETURN_IF_ERROR(batch.Check(tid_address, "PR_GET_TID_ADDRESS"));
    RETURN_IF_ERROR(batch.Check(pdeath, "PR_GET_PDEATHSIG"));
    RETURN_IF_ERROR(batch.Check(securebits, "PR_GET_SECUREBITS"));
    const auto stack = batch.written<stack_t>(altstack);
    return ThreadAnswers{.altstack_base = reinterpret_cast<uint64_t>(stack.ss_sp),
                         .altstack_size = stack.ss_size,
                         .altstack_flags = static_cast<uint32_t>(stack.ss_flags),
                         .clear_child_tid = batch.written<uint64_t>(tid_address),
                         .pdeath_signal = batch.written<uint32_t>(pdeath),
                         .securebits = static_cast<uint32_t>(batch.result(securebits))};
  }

  size_t altstack;
  size_t tid_address;
  size_t pdeath;
  size_t securebits;
};

struct SignalQuestions {
  explicit SignalQuestions(CallBatch& batch) {
    for (int signal = 1; signal <= kSignals; ++signal) {
      if (signal == SIGKILL || signal == SIGSTOP) continue;
      const auto number = static_cast<uint64_t>(signal);
      actions.emplace_back(
          signal, batch.Add(SYS_rt_sigaction, {number, 0, batch.slot(), kKernelSigsetSize}));
    }
    for (size_t which = 0; which < itimers.size(); ++which) {
      itimers[which] = batch.Add(SYS_getitimer, {which, batch.slot()});
    }
  }

  absl::Status FillIn(const CallBatch& batch, ProcessAnswers& answers) const {
    for (const auto& [signal, call] : actions) {
      RETURN_IF_ERROR(batch.Check(call, "rt_sigaction"));
      answers.sigactions[static_cast<size_t>(signal - 1)] = batch.written<KernelSigaction>(call);
    }
    for (size_t which = 0; which < itimers.size(); ++which) {
      RETURN_IF_ERROR(batch.Check(itimers[which], "getitimer"));
      answers.itimers[which] = batch.written<itimerval>(itimers[which]);
    }
    return absl::OkStatus();
  }

  std::vector<std::pair<int, size_t>> actions;
  std::array<size_t, 3> itimers;
};

struct OtherQuestions {
  explicit OtherQuestions(CallBatch& batch)
      : brk(batch.Add(SYS_brk, {0})),
        personality(batch.Add(SYS_personality, {kPersonalityOnly})),
        timer_slack(batch.Add(SYS_prctl, {PR_GET_TIMERSLACK})),
        dumpable(batch.Add(SYS_prctl, {PR_GET_DUMPABLE})),
        subreaper(batch.Add(SYS_prctl, {PR_GET_CHILD_SUBREAPER, batch.slot()})),
        thp(batch.Add(SYS_prctl, {PR_GET_THP_DISABLE})),
        mdwe(batch.Add(SYS_prctl, {kPrGetMdwe})),
        membarrier(batch.Add(SYS_membarrier, {kMembarrierGetRegistrations})) {}

  absl::Status FillIn(const CallBatch& batch, ProcessAnswers& answers) const {
    answers.brk = static_cast<uint64_t>(batch.result(brk));
    // Neither can fail.
    answers.personality = static_cast<uint32_t>(batch.result(personality));
    answers.timer_slack = static_cast<uint64_t>(batch.result(timer_slack));
    RETURN_IF_ERROR(batch.Check(dumpable, "PR_GET_DUMPABLE"));
    answers.dumpable = static_cast<int>(batch.result(dumpable));
    RETURN_IF_ERROR(batch.Check(subreaper, "PR_GET_CHILD_SUBREAPER"));
    answers.child_subreaper = batch.written<int>(subreaper) != 0;
    RETURN_IF_ERROR(batch.Check(thp, "PR_GET_THP_DISABLE"));
    answers.thp_disabled = batch.result(thp) != 0;
    // These two are newer than the oldest kernel we serve; EINVAL means that there is nothing.
    answers.memory_deny_write_execute =
        static_cast<uint32_t>(std::max<int64_t>(0, batch.result(mdwe)));
    answers.membarrier_registrations =
        static_cast<uint32_t>(std::max<int64_t>(0, batch.result(membarrier)));
    return absl::OkStatus();
  }

  size_t brk;
  size_t personality;
  size_t timer_slack;
  size_t dumpable;
  size_t subreaper;
  size_t thp;
  size_t mdwe;
  size_t membarrier;
};

namespace {

absl::Status AskTimers(RemoteSyscalls& calls, const FrozenThread& leader,
                       const std::vector<int>& ids, ProcessAnswers& answers) {
  constexpr size_t kAtOnce = RemoteSyscalls::kMostCalls / 2;
  for (size_t begin = 0; begin < ids.size(); begin += kAtOnce) {
    const size_t end = std::min(ids.size(), begin + kAtOnce);
    CallBatch batch(calls, leader.tid);
    for (size_t i = begin; i < end; ++i) {
      const auto id = static_cast<uint64_t>(ids[i]);
      batch.Add(SYS_timer_gettime, {id, batch.slot()});
      batch.Add(SYS_timer_getoverrun, {id});
    }
    RETURN_IF_ERROR(batch.Run(leader));
    for (size_t i = begin; i < end; ++i) {
      const size_t call = (i - begin) * 2;
      RETURN_IF_ERROR(batch.Check(call, "timer_gettime"));
      RETURN_IF_ERROR(batch.Check(call + 1, "timer_getoverrun"));
      answers.posix_timers.push_back({.id = ids[i],
                                      .value = batch.written<itimerspec>(call),
                                      .overrun = static_cast<int>(batch.result(call + 1))});
    }
  }
  return absl::OkStatus();
}

// Call by call: an error then names the call.
absl::StatusOr<ThreadAnswers> AskThread(RemoteSyscalls& calls, const FrozenThread& thread) {
  CallBatch batch(calls, thread.tid);
  const ThreadQuestions questions(batch);
  RETURN_IF_ERROR(batch.Run(thread));
  return questions.AnswersIn(batch);
}

}  // namespace

// All of them in one batch: each costs the leader a turn.
struct LeaderQuestions::Asked {
  Asked(RemoteSyscalls& calls, pid_t tid)
      : batch(calls, tid), signals(batch), others(batch), thread(batch) {}

  CallBatch batch;
  SignalQuestions signals;
  OtherQuestions others;
  ThreadQuestions thread;
};

LeaderQuestions::LeaderQuestions(RemoteSyscalls& calls, const FrozenThread& leader)
    : calls_(&calls), leader_(&leader), asked_(std::make_unique<Asked>(calls, leader.tid)) {}
LeaderQuestions::LeaderQuestions(LeaderQuestions&&) noexcept = default;
LeaderQuestions::~LeaderQuestions() = default;

absl::StatusOr<LeaderQuestions> LeaderQuestions::Start(RemoteSyscalls& calls,
                                                       const FrozenThread& leader) {
  // Where answers go to is known then.
  RETURN_IF_ERROR(calls.Settle());
  LeaderQuestions questions(calls, leader);
  RETURN_IF_ERROR(questions.asked_->batch.Start(leader));
  return questions;
}

absl::StatusOr<LeaderAnswers> LeaderQuestions::Finish(const std::vector<int>& timer_ids) {
  RETURN_IF_ERROR(asked_->batch.Finish());
  LeaderAnswers answers;
  RETURN_IF_ERROR(asked_->signals.FillIn(asked_->batch, answers.process));
  RETURN_IF_ERROR(asked_->others.FillIn(asked_->batch, answers.process));
  ASSIGN_OR_RETURN(answers.thread, asked_->thread.AnswersIn(asked_->batch));
  RETURN_IF_ERROR(AskTimers(*calls_, *leader_, timer_ids, answers.process));
  return answers;
}

absl::StatusOr<std::vector<ThreadAnswers>> AskThreads(RemoteSyscalls& calls,
                                                      std::span<const FrozenThread> threads,
                                                      const ThreadAnswers& leader) {
  std::vector<ThreadAnswers> answers = {leader};
  answers.reserve(threads.size());
  const std::span<const FrozenThread> others = threads.subspan(1);
  const auto is_told = [](const FrozenThread& thread) { return thread.row.has_value(); };
  std::vector<std::optional<ThreadAnswers>> told(others.size());
  if (!std::all_of(others.begin(), others.end(), is_told)) {
    ASSIGN_OR_RETURN(told, calls.Interview(others));
  }
  for (size_t i = 0; i < others.size(); ++i) {
    if (const std::optional<ThreadRow>& row = others[i].row) {
      answers.push_back(AnswersOf(*row));
    } else if (told[i]) {
      answers.push_back(*told[i]);
    } else {
      ASSIGN_OR_RETURN(answers.emplace_back(), AskThread(calls, others[i]));
    }
  }
  return answers;
}

}  // namespace dumpctl
