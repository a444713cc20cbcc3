#ifndef DUMP_TASK_PROCESS_FACTS_H_
#define DUMP_TASK_PROCESS_FACTS_H_

#include <signal.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/task/queries.h"
#include "dump/tracee/frozen_task.h"

namespace dumpctl {

// Everything about a frozen process that its threads share, but memory and files. Text of procfs
// stays text: it is parsed after the freeze.
struct ProcessFacts {
  pid_t pid = 0;
  int stop_signal = 0;  // job control had stopped it; 0: it ran
  std::vector<siginfo_t> pending;
  ProcessAnswers answers;
  std::string timers_text;
  std::string stat_text;
  std::string limits_text;
  std::string personality_text;
  std::string loginuid_text;  // empty: a kernel without audit
  std::string oom_score_adj_text;
  std::string timerslack_text;  // empty: not readable
};

// Reads all but `answers`, which only the process itself can give.
absl::StatusOr<ProcessFacts> ReadProcessFacts(const FrozenTask& task);

}  // namespace dumpctl

#endif  // DUMP_TASK_PROCESS_FACTS_H_
