#ifndef DUMP_TASK_PROCESS_FACTS_H_
#define DUMP_TASK_PROCESS_FACTS_H_

#include <signal.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/task/queries.h"
#include "dump/tracee/frozen_task.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// Texts of procfs that nothing in the freeze looks into.
struct ProcessTexts {
  std::string limits;
  std::string oom_score_adj;
  std::string loginuid;  // empty: a kernel without audit
};

// Everything about a frozen process that its threads share, but memory and files. Text of procfs
// stays text: it is parsed after the freeze.
struct ProcessFacts {
  pid_t pid = 0;
  int stop_signal = 0;  // job control had stopped it; 0: it ran
  std::vector<siginfo_t> pending;
  ProcessAnswers answers;
  std::string timers_text;
  std::string stat_text;
  ProcessTexts texts;
};

// Reads all but `answers`, which only the process itself can give, and `texts`.
absl::StatusOr<ProcessFacts> ReadProcessFacts(const FrozenTask& task);

// `task` stands; any thread may read of it.
absl::StatusOr<ProcessTexts> ReadProcessTexts(const ProcDir& task);

}  // namespace dumpctl

#endif  // DUMP_TASK_PROCESS_FACTS_H_
