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

absl::Status CopyGuardian::Start(size_t processes) {
  // Two of a process at a time at most, and what the tree may grow by.
  constexpr size_t kSpare = 1024;
  RETURN_IF_ERROR(used_.Make());
  RETURN_IF_ERROR(entries_.Make(2 * processes + kSpare));
  return guardian_.StartApart(ReapAllOf, this);
}

absl::StatusOr<size_t> CopyGuardian::FindFree() const {
  const size_t copy = used().size();
  if (copy < entries_.get().size()) return copy;
  const auto free = std::find_if(used().begin(), used().end(),
                                 [](const Entry& entry) { return entry.state == kNone; });
  if (free != used().end()) return static_cast<size_t>(free - used().begin());
  return absl::ResourceExhaustedError(absl::StrCat("there are ", copy, " copies already"));
}

absl::StatusOr<size_t> CopyGuardian::Begin(pid_t maker, uint64_t start_time) {
  ASSIGN_OR_RETURN(const size_t copy, FindFree());
  Entry& entry = entries_.get()[copy];
  entry.maker = maker;
  entry.start_time = start_time;
  entry.begun = TicksSinceBoot();
  entry.state.store(kBegun);
  used_->store(std::max(used().size(), copy + 1));
  return copy;
}

void CopyGuardian::Made(size_t copy, pid_t pid_inside) {
  entries_.get()[copy].pid_inside = pid_inside;
  entries_.get()[copy].state.store(kMade);
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

void CopyGuardian::Done(size_t copy) { entries_.get()[copy].state.store(kNone); }

absl::Status CopyGuardian::ReapNow(size_t copy) {
  const Entry& entry = entries_.get()[copy];
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
bool CopyGuardian::IsAnother(const Entry& entry, pid_t pid_inside) const {
  return std::any_of(used().begin(), used().end(), [&](const Entry& other) {
    return &other != &entry && other.state == kMade && other.maker == entry.maker &&
           other.pid_inside == pid_inside;
  });
}

// Of a maker that stood still: the first child since then that has no exit signal is ours. The
// kernel lists them by age. 0: there is none. Unavailable: it has not ended yet, for a copy that
// nobody holds exits at once, but has its memory to free.
absl::StatusOr<pid_t> CopyGuardian::FindCopy(const Entry& entry) const {
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
    if (IsAnother(entry, pid_inside)) continue;
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

absl::Status CopyGuardian::Reap(const Entry& entry) const {
  const absl::Time deadline = absl::Now() + kAttempt;
  pid_t pid_inside = entry.pid_inside;
  if (entry.state == kBegun) {
    // It was being made when we died.
    RETURN_IF_ERROR(ExpectHome(entry.maker, entry.start_time, deadline));
    ASSIGN_OR_RETURN(pid_inside, FindCopy(entry));
    if (pid_inside == 0) return absl::OkStatus();
  }
  return ReapCopy(entry.maker, entry.start_time, pid_inside, deadline);
}

// In a process of its own, whose end lets go whatever it holds: whether an attempt fails in the
// middle or hangs, the maker is not held by it for longer than kAttempt, and who of it has not
// stopped by then not for longer than that takes to be given up.
bool CopyGuardian::ReapApart(const Entry& entry) const {
  const pid_t pid = fork();
  if (pid == 0) _exit(Reap(entry).ok() ? 0 : 1);
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

void CopyGuardian::ReapAllOf(void* guardian) {
  static_cast<const CopyGuardian*>(guardian)->ReapAll();
}

void CopyGuardian::ReapAll() const {
  const absl::Time woken = absl::Now();
  for (bool left = true; left && absl::Now() - woken < kPatience; absl::SleepFor(kPause)) {
    left = false;
    for (Entry& entry : used()) {
      if (entry.state == kNone) continue;
      if (ReapApart(entry)) {
        entry.state.store(kNone);
      } else {
        left = true;
      }
    }
  }
}

}  // namespace dumpctl
