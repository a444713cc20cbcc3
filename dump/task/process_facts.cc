#include "dump/task/process_facts.h"

#include "dump/tracee/ptrace_ops.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {

absl::StatusOr<ProcessFacts> ReadProcessFacts(const FrozenTask& task) {
  ProcessFacts facts{.pid = task.pid(), .stop_signal = task.stop_signal()};
  ASSIGN_OR_RETURN(facts.pending, PtracePeekSignals(task.pid(), SignalQueue::kProcess));
  const ProcDir& dir = task.dir();
  ASSIGN_OR_RETURN(facts.timers_text, dir.Read("timers"));
  ASSIGN_OR_RETURN(facts.stat_text, dir.ReadWhole("stat"));
  return facts;
}

absl::StatusOr<ProcessTexts> ReadProcessTexts(const ProcDir& task) {
  ProcessTexts texts;
  ASSIGN_OR_RETURN(texts.limits, task.ReadWhole("limits"));
  ASSIGN_OR_RETURN(texts.oom_score_adj, task.ReadWhole("oom_score_adj"));
  // Not every kernel has it.
  texts.loginuid = task.ReadWhole("loginuid").value_or("");
  return texts;
}

}  // namespace dumpctl
