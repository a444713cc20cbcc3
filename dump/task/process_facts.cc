#include "dump/task/process_facts.h"

#include "dump/tracee/ptrace_ops.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {

absl::StatusOr<ProcessFacts> ReadProcessFacts(const FrozenTask& task) {
  ProcessFacts facts{.pid = task.pid(), .stop_signal = task.stop_signal()};
  ASSIGN_OR_RETURN(facts.pending, PtracePeekSignals(task.pid(), SignalQueue::kProcess));
  const ProcDir& dir = task.dir();
  ASSIGN_OR_RETURN(facts.timers_text, dir.Read("timers"));
  ASSIGN_OR_RETURN(facts.stat_text, dir.Read("stat"));
  ASSIGN_OR_RETURN(facts.limits_text, dir.Read("limits"));
  ASSIGN_OR_RETURN(facts.personality_text, dir.Read("personality"));
  ASSIGN_OR_RETURN(facts.oom_score_adj_text, dir.Read("oom_score_adj"));
  // Not every kernel has them.
  facts.loginuid_text = dir.Read("loginuid").value_or("");
  facts.timerslack_text = dir.Read("timerslack_ns").value_or("");
  return facts;
}

}  // namespace dumpctl
