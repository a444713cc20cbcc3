#ifndef DUMP_TASK_THREAD_FACTS_H_
#define DUMP_TASK_THREAD_FACTS_H_

#include <signal.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/task/queries.h"
#include "dump/task/registers_x86_64.h"
#include "dump/tracee/frozen_task.h"
#include "dump/tracee/rseq.h"
#include "proc/thread_row.h"

namespace dumpctl {

// Scheduling as sched_getattr(2) tells it.
struct Scheduling {
  uint32_t policy = 0;
  int32_t nice = 0;
  uint32_t priority = 0;  // real-time policies
};

// Everything about one frozen thread. Text of procfs stays text: it is parsed after the freeze.
struct ThreadFacts {
  pid_t tid = 0;
  GeneralRegisters registers = {};
  std::vector<std::byte> extended_state;
  std::vector<TlsSegment> tls;
  uint64_t sigmask = 0;
  std::vector<siginfo_t> pending;  // directed at this thread
  ThreadAnswers answers;
  uint64_t robust_list = 0;
  uint64_t robust_list_length = 0;
  std::optional<RseqRegistration> rseq;
  Scheduling scheduling;
  std::string status_text;       // of procfs; empty where `like` says whose to take
  std::optional<ThreadRow> row;  // see FrozenThread
  // The place of a thread before it in the process, which has the same credentials: `row` tells all
  // else.
  std::optional<size_t> like;
  bool seccomp = false;  // the thread is confined by it
};

// Reads all but `answers`, which only the thread itself can give. `like`: see there; none: what
// procfs tells of it is read.
absl::StatusOr<ThreadFacts> ReadThreadFacts(const FrozenTask& task, const FrozenThread& thread,
                                            std::optional<size_t> like);

}  // namespace dumpctl

#endif  // DUMP_TASK_THREAD_FACTS_H_
