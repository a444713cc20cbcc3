#ifndef DUMP_TASK_CORE_IMAGE_H_
#define DUMP_TASK_CORE_IMAGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/task/process_facts.h"
#include "dump/task/thread_facts.h"
#include "dumpctl/resource_refusal.h"
#include "proc/stat_parser.h"
#include "proc/status_parser.h"
#include "proto/core.pb.h"

namespace dumpctl {

// The core-TID image of one thread. `status`: its own, or that of the thread it is like (see
// ThreadFacts). `seccomp_filter` is the index of its eldest filter in the seccomp image. DataLoss
// when a text of procfs is not understood.
absl::StatusOr<image::core_entry> ToThreadCore(const ThreadFacts& thread, const TaskStatus& status,
                                               std::optional<uint32_t> seccomp_filter);

// What the leader's core holds besides its own thread: the process.
absl::Status AddProcess(const ProcessFacts& process, const ThreadFacts& leader,
                        image::core_entry& core);

// The whole core image of a process that has ended: what its parent will be told.
image::core_entry DeadCore(const TaskStat& stat);

// State of a thread that cannot be dumped: AMX tiles, deadline scheduling.
ResourceRefusals RefuseThreadState(pid_t pid, const ThreadFacts& thread);

// State that the image format has no place for, in words, for the report.
std::vector<std::string> NotCaptured(const ProcessFacts& process);

}  // namespace dumpctl

#endif  // DUMP_TASK_CORE_IMAGE_H_
