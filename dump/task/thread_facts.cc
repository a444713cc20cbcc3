#include "dump/task/thread_facts.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "dump/tracee/ptrace_ops.h"
#include "dumpctl/status_macros.h"
#include "proc/status_parser.h"

namespace dumpctl {
namespace {

// struct sched_attr in its first form (sched_setattr(2), Linux 3.14); libc has none yet.
struct SchedAttr {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime;
  uint64_t deadline;
  uint64_t period;
};
static_assert(sizeof(SchedAttr) == 48);

// An empty set of signals, as status prints it.
constexpr std::string_view kNoSignals = "0000000000000000";

absl::StatusOr<Scheduling> ReadScheduling(pid_t tid) {
  SchedAttr attr = {};
  if (syscall(SYS_sched_getattr, tid, &attr, sizeof attr, 0) < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("sched_getattr of thread ", tid));
  }
  return Scheduling{.policy = attr.policy, .nice = attr.nice, .priority = attr.priority};
}

// What get_robust_list(2) says of any list.
constexpr uint64_t kRobustListLength = sizeof(robust_list_head);

absl::Status FillFromRow(const ThreadRow& row, ThreadFacts& facts) {
  facts.row = row;
  facts.tls = UnusedTlsSegments();
  facts.robust_list = row.robust_list;
  facts.robust_list_length = kRobustListLength;
  facts.scheduling = {.policy = row.policy, .nice = row.nice, .priority = row.priority};
  if (row.pending == 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(facts.pending, PtracePeekSignals(facts.tid, SignalQueue::kThread));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ThreadFacts> ReadThreadFacts(const FrozenTask& task, const FrozenThread& thread,
                                            std::optional<size_t> like) {
  ThreadFacts facts{.tid = thread.tid,
                    .registers = thread.registers,
                    .sigmask = thread.sigmask,
                    .rseq = thread.rseq};
  ASSIGN_OR_RETURN(facts.extended_state, GetExtendedState(thread.tid));
  facts.like = like;
  if (!like) {
    ASSIGN_OR_RETURN(facts.status_text,
                     task.dir().ReadWhole(ThreadFile(task.pid(), thread.tid, "status")));
  }
  if (thread.row) {
    RETURN_IF_ERROR(FillFromRow(*thread.row, facts));
    return facts;
  }
  ASSIGN_OR_RETURN(facts.tls, ReadTlsSegments(thread.tid));
  void* robust_list = nullptr;
  size_t robust_list_length = 0;
  if (syscall(SYS_get_robust_list, thread.tid, &robust_list, &robust_list_length) < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("get_robust_list of thread ", thread.tid));
  }
  facts.robust_list = reinterpret_cast<uint64_t>(robust_list);
  facts.robust_list_length = robust_list_length;
  ASSIGN_OR_RETURN(facts.scheduling, ReadScheduling(thread.tid));
  // Most threads have neither: what has nothing to tell is not asked.
  // A kernel without it says nothing.
  const std::string_view seccomp = StatusValue(facts.status_text, "Seccomp");
  facts.seccomp = !seccomp.empty() && seccomp != "0";
  if (StatusValue(facts.status_text, "SigPnd") != kNoSignals) {
    ASSIGN_OR_RETURN(facts.pending, PtracePeekSignals(thread.tid, SignalQueue::kThread));
  }
  return facts;
}

}  // namespace dumpctl
