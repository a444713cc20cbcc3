#include "dump/session/tree_questions.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "dump/task/session_keyring.h"
#include "dump/tracee/remote_syscalls.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/stat_parser.h"
#include "proc/status_parser.h"
#include "proc/text_fields.h"
#include "proc/timers_parser.h"

namespace dumpctl {
namespace {

// Signals that a task has handlers for, bit 0 = signal 1.
absl::StatusOr<uint64_t> CaughtSignals(const FrozenFacts& facts) {
  constexpr std::string_view kField = "SigCgt";
  const std::string_view text = StatusValue(facts.threads.front().status_text, kField);
  const std::optional<uint64_t> caught = NumberOf<uint64_t>(text, 16);
  if (!caught) return MalformedText("status", kField, text);
  return *caught;
}

absl::StatusOr<bool> LeadsSession(const FrozenFacts& facts) {
  ASSIGN_OR_RETURN(const TaskStat stat, ParseStat(facts.process.stat_text));
  return stat.session == facts.process.pid;
}

absl::Status FinishAsking(LeaderQuestions& questions, RemoteSyscalls& calls, const FrozenTask& task,
                          bool is_root, FrozenFacts& facts) {
  const TraceSpan span(TraceKind::kTask, "ask", {{"pid", task.pid()}});
  ASSIGN_OR_RETURN(const std::vector<PosixTimer> timers, ParseTimers(facts.process.timers_text));
  std::vector<int> timer_ids;
  for (const PosixTimer& timer : timers) timer_ids.push_back(timer.id);
  ASSIGN_OR_RETURN(LeaderAnswers answers, questions.Finish(timer_ids));
  facts.process.answers = std::move(answers.process);
  facts.auxv = calls.auxv();
  ASSIGN_OR_RETURN(const std::vector<ThreadAnswers> threads,
                   AskThreads(calls, task.threads(), answers.thread));
  for (size_t i = 0; i < threads.size(); ++i) facts.threads[i].answers = threads[i];
  ASSIGN_OR_RETURN(const bool leads, LeadsSession(facts));
  if (is_root || leads) {
    // Where there can be no other thread the rest of it is as good.
    facts.process.answers.session_keyring =
        AskSessionKeyring(calls).value_or(ProcessAnswers::kUntold);
  }
  return calls.StartClose();
}

// While one does what it is told the next are told what to do.
absl::Status AskBesideEachOther(std::span<const FrozenTask> tasks, bool has_root,
                                std::span<FrozenFacts> facts) {
  std::vector<RemoteSyscalls> calls;
  calls.reserve(tasks.size());
  for (size_t i = 0; i < tasks.size(); ++i) {
    ASSIGN_OR_RETURN(const uint64_t caught, CaughtSignals(facts[i]));
    ASSIGN_OR_RETURN(RemoteSyscalls away, RemoteSyscalls::Start(tasks[i], caught));
    calls.push_back(std::move(away));
  }
  std::vector<LeaderQuestions> questions;
  questions.reserve(tasks.size());
  for (size_t i = 0; i < tasks.size(); ++i) {
    ASSIGN_OR_RETURN(LeaderQuestions asked,
                     LeaderQuestions::Start(calls[i], tasks[i].threads().front()));
    questions.push_back(std::move(asked));
  }
  for (size_t i = 0; i < tasks.size(); ++i) {
    RETURN_IF_ERROR(FinishAsking(questions[i], calls[i], tasks[i], has_root && i == 0, facts[i]));
  }
  for (RemoteSyscalls& away : calls) RETURN_IF_ERROR(away.Close());
  return absl::OkStatus();
}

}  // namespace

absl::Status AskTasks(std::span<const FrozenTask> tasks, std::span<FrozenFacts> facts) {
  // Enough to keep all processors busy; each needs a descriptor meanwhile.
  constexpr size_t kAtOnce = 16;
  for (size_t begin = 0; begin < tasks.size(); begin += kAtOnce) {
    const size_t count = std::min(kAtOnce, tasks.size() - begin);
    RETURN_IF_ERROR(
        AskBesideEachOther(tasks.subspan(begin, count), begin == 0, facts.subspan(begin, count)));
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
