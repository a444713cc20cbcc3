#include "dump/tracee/leader_stop.h"

#include <optional>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dump/tracee/child_changes.h"
#include "dumpctl/status_macros.h"
#include "proc/stat_parser.h"

namespace dumpctl {
namespace {

// Waits for those that have ended, where the first has.
void WaitForOthersOfDead(pid_t pid, const ProcDir& process) {
  const absl::StatusOr<TaskStat> stat = ParseStat(process.Read("stat").value_or(""));
  if (!stat.ok() || !stat->zombie()) return;
  for (const int tid : ListNumbers(process, "task").value_or(std::vector<int>())) {
    if (tid != pid) PollStop(tid).IgnoreError();
  }
}

}  // namespace

absl::StatusOr<Stop> WaitStopOfLeader(pid_t pid, const ProcDir& process) {
  constexpr absl::Duration kAskInterval = absl::Milliseconds(5);
  const ChildChanges changes;
  for (absl::Time ask = absl::Now() + kAskInterval;;) {
    ASSIGN_OR_RETURN(const std::optional<Stop> stop, PollStop(pid));
    if (stop) return *stop;
    const absl::Time now = absl::Now();
    if (now >= ask) {
      WaitForOthersOfDead(pid, process);
      ask = now + kAskInterval;
    }
    changes.Wait(ask);
  }
}

}  // namespace dumpctl
