#include "dump/tracee/process_copy.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dump/tracee/ptrace_ops.h"
#include "dump/tracee/remote_memory.h"
#include "dump/tracee/remote_syscalls.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/stat_parser.h"

namespace dumpctl {
namespace {

// Where memory comes to an end, the copy is to be killed and not the process.
void OfferFirst(const ProcDir& copy) {
  const absl::StatusOr<UniqueFd> file = copy.Open("oom_score_adj", O_WRONLY);
  constexpr std::string_view kMost = "1000";
  if (file.ok() && write(file->get(), kMost.data(), kMost.size()) < 0) {
    // It is as likely then as the process itself.
  }
}

// Takes hold of a copy that was just made. Should we die before that is done, it exits by itself.
absl::StatusOr<ProcDir> Hold(pid_t pid) {
  ASSIGN_OR_RETURN(const Stop stop, WaitStop(pid));
  if (stop.kind == Stop::Kind::kGone) {
    return absl::NotFoundError(absl::StrCat("copy ", pid, " was killed"));
  }
  RETURN_IF_ERROR(PtraceSetOptions(pid, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD));
  return ProcDir::OpenTask(pid);
}

// It was made by code that must not be found in it.
absl::Status ClearSite(const ProcDir& copy, const InjectionSite& site) {
  ASSIGN_OR_RETURN(const RemoteMemory memory, RemoteMemory::Open(copy));
  const std::vector<std::byte> zeros(site.size());
  return memory.Write(site.address(), zeros);
}

// Not dead, and not another one.
bool IsThere(pid_t pid, uint64_t start_time) {
  const absl::StatusOr<ProcDir> dir = ProcDir::OpenTask(pid);
  if (!dir.ok()) return false;
  const absl::StatusOr<TaskStat> stat = ParseStat(dir->Read("stat").value_or(""));
  return stat.ok() && !stat->zombie() && stat->start_time == start_time;
}

// Whoever is killed is no tracee any more some time before it is seen to be dead.
bool EndsSoon(pid_t pid, uint64_t start_time) {
  constexpr int kMostMilliseconds = 100;
  for (int i = 0; i < kMostMilliseconds; ++i) {
    if (!IsThere(pid, start_time)) return true;
    absl::SleepFor(absl::Milliseconds(1));
  }
  return false;
}

using Deed = absl::FunctionRef<absl::Status(RemoteSyscalls& calls, const FrozenTask& task)>;

// Lets the process go on afterwards.
absl::Status DoWithCalls(FrozenTask& task, Deed deed) {
  absl::Status status;
  {
    absl::StatusOr<RemoteSyscalls> calls = RemoteSyscalls::Create(task);
    status = calls.ok() ? deed(*calls, task) : calls.status();
    if (calls.ok()) status.Update(calls->Close());
  }
  status.Update(task.Resume());
  return status;
}

// Does something with a process that is frozen for it, if it is there.
absl::Status WithCalls(pid_t pid, uint64_t start_time, absl::Time deadline, Deed deed) {
  for (;;) {
    if (!IsThere(pid, start_time)) return absl::OkStatus();
    absl::StatusOr<FrozenTask> task = FrozenTask::FreezePatiently(pid, deadline);
    if (absl::IsNotFound(task.status())) {
      if (EndsSoon(pid, start_time)) return absl::OkStatus();
      // A thread that ran meanwhile has called execve(2), and has the leader's number now.
      if (absl::Now() < deadline) continue;
    }
    if (!IsThere(pid, start_time)) return absl::OkStatus();
    RETURN_IF_ERROR(task.status());
    const TraceSpan standing(TraceKind::kStopped, "stopped", {{"pid", pid}});
    const absl::Status status = DoWithCalls(*task, deed);
    return absl::IsNotFound(status) && EndsSoon(pid, start_time) ? absl::OkStatus() : status;
  }
}

// The process, which stands, waits for the child.
absl::Status LetWait(RemoteSyscalls& calls, const FrozenTask& task, pid_t pid_inside) {
  const RemoteCall wait = {SYS_wait4, {static_cast<uint64_t>(pid_inside), 0, __WALL | WNOHANG, 0}};
  ASSIGN_OR_RETURN(const std::vector<int64_t> results,
                   calls.Run(task.threads().front(), std::span(&wait, 1)));
  if (results[0] == pid_inside || results[0] == -ECHILD) return absl::OkStatus();
  if (results[0] == 0) {
    return absl::UnavailableError(absl::StrCat("copy ", pid_inside, " has not ended yet"));
  }
  return absl::ErrnoToStatus(static_cast<int>(-results[0]),
                             absl::StrCat("waiting for a copy of process ", task.pid()));
}

}  // namespace

void EndCopy(pid_t pid) {
  kill(pid, SIGKILL);
  for (;;) {
    const absl::StatusOr<Stop> stop = WaitStop(pid);
    if (!stop.ok() || stop->kind == Stop::Kind::kGone) return;
  }
}

absl::StatusOr<ProcessCopy> ProcessCopy::Make(const FrozenTask& task) {
  ASSIGN_OR_RETURN(RemoteSyscalls calls, RemoteSyscalls::Create(task));
  ASSIGN_OR_RETURN(const RemoteSyscalls::Copied copied, calls.Copy(task.threads().front()));
  absl::StatusOr<ProcDir> dir = Hold(copied.pid);
  absl::Status status = dir.status();
  if (status.ok()) {
    OfferFirst(*dir);
    status = ClearSite(*dir, calls.site());
  }
  if (!status.ok()) {
    EndCopy(copied.pid);
    LetWait(calls, task, copied.pid_inside).IgnoreError();
    return status;
  }
  ProcessCopy copy(copied.pid, copied.pid_inside, *std::move(dir));
  RETURN_IF_ERROR(calls.Close());
  return copy;
}

absl::StatusOr<ProcessCopy> ProcessCopy::MakeBeside(RemoteSyscalls& calls, const FrozenTask& task) {
  ASSIGN_OR_RETURN(const RemoteSyscalls::Copied made, calls.MakeBeside(task.threads().front()));
  // Not offered to the OOM killer: the kernel gives all who share memory the same score.
  absl::StatusOr<ProcDir> dir = Hold(made.pid);
  if (dir.ok()) return ProcessCopy(made.pid, made.pid_inside, *std::move(dir));
  EndCopy(made.pid);
  LetWait(calls, task, made.pid_inside).IgnoreError();
  return dir.status();
}

absl::Status ProcessCopy::EndBeside(RemoteSyscalls& calls, const FrozenTask& task) {
  End();
  return LetWait(calls, task, pid_inside_);
}

bool ProcessCopy::Stands() const {
  const absl::StatusOr<TaskStat> stat = ParseStat(dir_.Read("stat").value_or(""));
  // SIGKILL makes it run before anything else comes of it.
  return stat.ok() && stat->state == 't';
}

void ProcessCopy::End() {
  if (const pid_t pid = std::exchange(pid_, 0); pid > 0) EndCopy(pid);
}

absl::Status ExpectHome(pid_t maker, uint64_t start_time, absl::Time deadline) {
  return WithCalls(maker, start_time, deadline,
                   [](RemoteSyscalls&, const FrozenTask&) { return absl::OkStatus(); });
}

absl::Status ReapCopy(pid_t maker, uint64_t start_time, pid_t pid_inside, absl::Time deadline) {
  return WithCalls(maker, start_time, deadline, [&](RemoteSyscalls& calls, const FrozenTask& task) {
    return LetWait(calls, task, pid_inside);
  });
}

}  // namespace dumpctl
