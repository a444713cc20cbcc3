#include "dump/session/copy_guardian.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dump/tracee/frozen_task.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/children_parser.h"
#include "proc/proc_fs.h"
#include "proc/stat_parser.h"
#include "proc/status_parser.h"

namespace dumpctl {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(10);
constexpr absl::Duration kAttempt = absl::Seconds(1);
constexpr absl::Duration kSlack = absl::Milliseconds(100);  // for it to be started, and to end
constexpr absl::Duration kPause = absl::Milliseconds(2);

uint64_t TicksSinceBoot() {
  timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  const auto hertz = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  return static_cast<uint64_t>(now.tv_sec) * hertz +
         static_cast<uint64_t>(now.tv_nsec) / (1'000'000'000 / hertz);
}

absl::StatusOr<pid_t> PidInside(const ProcDir& child) {
  ASSIGN_OR_RETURN(const std::string text, child.Read("status"));
  ASSIGN_OR_RETURN(const TaskStatus status, ParseStatus(text));
  return status.ns_pids.empty() ? pid_t{0} : status.ns_pids.back();
}

pid_t TracerOf(const ProcDir& task) {
  const absl::StatusOr<TaskStatus> status = ParseStatus(task.Read("status").value_or(""));
  return status.ok() ? status->tracer_pid : 0;
}

}  // namespace

absl::Status CopyGuardian::Start() {
  RETURN_IF_ERROR(table_.Make());
  return guardian_.StartApart(ReapAll, table_.get());
}

absl::StatusOr<size_t> CopyGuardian::Begin(pid_t maker, uint64_t start_time) {
  const size_t copy = table_->used.load();
  if (copy == kMostCopies) {
    return absl::ResourceExhaustedError(absl::StrCat("more than ", kMostCopies, " copies"));
  }
  Entry& entry = table_->entries[copy];
  entry.maker = maker;
  entry.start_time = start_time;
  entry.begun = TicksSinceBoot();
  entry.state.store(kBegun);
  table_->used.store(copy + 1);
  return copy;
}

void CopyGuardian::Made(size_t copy, pid_t pid_inside) {
  table_->entries[copy].pid_inside = pid_inside;
  table_->entries[copy].state.store(kMade);
}

absl::StatusOr<CopyGuardian::Guarded> CopyGuardian::Guard(
    pid_t maker, uint64_t start_time, absl::FunctionRef<absl::StatusOr<ProcessCopy>()> make) {
  ASSIGN_OR_RETURN(const size_t number, Begin(maker, start_time));
  absl::StatusOr<ProcessCopy> copy = make();
  if (!copy.ok()) {
    Done(number);
    return copy.status();
  }
  Made(number, copy->pid_inside());
  return Guarded{number, *std::move(copy)};
}

void CopyGuardian::Done(size_t copy) { table_->entries[copy].state.store(kNone); }

absl::Status CopyGuardian::ReapNow(size_t copy) {
  const Entry& entry = table_->entries[copy];
  const TraceSpan span(TraceKind::kTask, "reap the copy of", {{"pid", entry.maker}});
  const absl::Status reaped =
      ReapCopy(entry.maker, entry.start_time, entry.pid_inside, absl::Now() + kPatience);
  if (reaped.ok()) {
    Done(copy);
    return reaped;
  }
  return absl::Status(reaped.code(),
                      absl::StrCat("process ", entry.maker, " has a dead child, ", entry.pid_inside,
                                   ", that it cannot be rid of: ", std::string(reaped.message())));
}

// Whether such a child is the copy of another entry, which sees to it.
bool CopyGuardian::IsAnother(const Table& table, const Entry& entry, pid_t pid_inside) {
  const size_t used = std::min(table.used.load(), kMostCopies);
  return std::any_of(table.entries, table.entries + used, [&](const Entry& other) {
    return &other != &entry && other.state == kMade && other.maker == entry.maker &&
           other.pid_inside == pid_inside;
  });
}

// Of a maker that stood still: the first child since then that has no exit signal is ours. The
// kernel lists them by age. 0: there is none. Unavailable: it has not ended yet, for a copy that
// nobody holds exits at once, but has its memory to free.
absl::StatusOr<pid_t> CopyGuardian::FindCopy(const Table& table, const Entry& entry) {
  ASSIGN_OR_RETURN(const ProcDir maker, ProcDir::OpenTask(entry.maker));
  ASSIGN_OR_RETURN(const std::string text,
                   maker.Read(absl::StrCat("task/", entry.maker, "/children")));
  ASSIGN_OR_RETURN(const std::vector<pid_t> children, ParseChildren(text));
  for (const pid_t pid : children) {
    const absl::StatusOr<ProcDir> child = ProcDir::OpenTask(pid);
    if (!child.ok()) continue;
    const absl::StatusOr<TaskStat> stat = ParseStat(child->Read("stat").value_or(""));
    // It is dated when its memory is copied, which may take seconds.
    if (!stat.ok() || stat->exit_signal != 0 || stat->start_time < entry.begun) continue;
    // Two of one maker may be of the same tick.
    ASSIGN_OR_RETURN(const pid_t pid_inside, PidInside(*child));
    if (IsAnother(table, entry, pid_inside)) continue;
    if (!stat->zombie()) {
      // Kernel trap: clone(2) decides early whether the child will be traced, and gives it to who
      // traces its maker in the end. That is us where we have frozen the maker in the middle of it.
      if (TracerOf(*child) == getpid()) EndCopy(pid);
      return absl::UnavailableError("it has not ended");
    }
    return pid_inside;
  }
  return 0;
}

absl::Status CopyGuardian::Reap(const Table& table, const Entry& entry) {
  const absl::Time deadline = absl::Now() + kAttempt;
  pid_t pid_inside = entry.pid_inside;
  if (entry.state == kBegun) {
    // It was being made when we died.
    RETURN_IF_ERROR(ExpectHome(entry.maker, entry.start_time, deadline));
    ASSIGN_OR_RETURN(pid_inside, FindCopy(table, entry));
    if (pid_inside == 0) return absl::OkStatus();
  }
  return ReapCopy(entry.maker, entry.start_time, pid_inside, deadline);
}

// In a process of its own, whose end lets go whatever it holds: whether an attempt fails in the
// middle or hangs, the maker is not held by it for longer than kAttempt, and who of it has not
// stopped by then not for longer than that takes to be given up.
bool CopyGuardian::ReapApart(const Table& table, const Entry& entry) {
  const pid_t pid = fork();
  if (pid == 0) _exit(Reap(table, entry).ok() ? 0 : 1);
  if (pid < 0) return false;
  const absl::Time deadline = absl::Now() + kAttempt + FrozenTask::kLastLook + kSlack;
  int status = 0;
  for (;;) {
    const pid_t ended = waitpid(pid, &status, WNOHANG);
    if (ended == pid) break;
    if (ended < 0 && errno != EINTR) return false;
    if (absl::Now() >= deadline) kill(pid, SIGKILL);
    absl::SleepFor(kPause / 4);
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void CopyGuardian::ReapAll(void* shared) {
  Table* const table = static_cast<Table*>(shared);
  const absl::Time woken = absl::Now();
  for (bool left = true; left && absl::Now() - woken < kPatience; absl::SleepFor(kPause)) {
    left = false;
    for (size_t i = 0; i < std::min(table->used.load(), kMostCopies); ++i) {
      Entry& entry = table->entries[i];
      if (entry.state == kNone) continue;
      if (ReapApart(*table, entry)) {
        entry.state.store(kNone);
      } else {
        left = true;
      }
    }
  }
}

}  // namespace dumpctl
