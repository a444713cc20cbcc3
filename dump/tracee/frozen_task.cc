#include "dump/tracee/frozen_task.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/tracee/child_changes.h"
#include "dump/tracee/ptrace_ops.h"
#include "dump/tracee/remote_memory.h"
#include "dump/tracee/rseq.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "proc/stat_parser.h"

namespace dumpctl {
namespace {

constexpr unsigned long kOptions = PTRACE_O_TRACESYSGOOD;
// How long a wait may go on without asking whether it may.
constexpr absl::Duration kAskInterval = absl::Milliseconds(100);
// Debian 12's libc has the constant only in <linux/ptrace.h>, which collides with <sys/ptrace.h>.
constexpr unsigned long kSuspendSeccomp = 1ul << 21;

absl::Status TimedOut(pid_t pid, pid_t tid) {
  return MakeFailure(
      Failure::kTimeout, absl::StatusCode::kDeadlineExceeded,
      absl::StrCat("process ", pid, ": thread ", tid,
                   " did not stop in time; it sleeps uninterruptibly in the kernel (see its stack "
                   "in procfs), try again or raise --timeout"));
}

}  // namespace

unsigned long TraceOptions(const FrozenThread& thread) {
  return kOptions | (thread.seccomp_suspended ? kSuspendSeccomp : 0);
}

FrozenTask::FrozenTask(FrozenTask&& other) noexcept
    : pid_(other.pid_),
      dir_(std::move(other.dir_)),
      may_be_older_(other.may_be_older_),
      threads_(std::exchange(other.threads_, {})),
      running_(std::exchange(other.running_, {})),
      asked_(other.asked_),
      stop_signal_(other.stop_signal_),
      read_(other.read_),
      may_suspend_seccomp_(other.may_suspend_seccomp_) {}

FrozenTask::~FrozenTask() { DetachAll().IgnoreError(); }

absl::StatusOr<FrozenTask> FrozenTask::Open(pid_t pid) {
  ASSIGN_OR_RETURN(ProcDir dir, ProcDir::OpenTask(pid));
  return FrozenTask(pid, std::move(dir), false);
}

absl::StatusOr<UniqueFd> FrozenTask::OpenPidfd() const {
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (pidfd) return pidfd;
  if (errno == ESRCH) return absl::NotFoundError(absl::StrCat("process ", pid_, " is gone"));
  return absl::ErrnoToStatus(errno, absl::StrCat("pidfd_open of process ", pid_));
}

absl::StatusOr<FrozenTask> FrozenTask::Freeze(pid_t pid, absl::Time deadline,
                                              const std::function<absl::Status()>& may_go_on) {
  ASSIGN_OR_RETURN(FrozenTask task, Open(pid));
  const absl::Status stopped = StopAll(std::span(&task, 1), deadline, may_go_on);
  if (!stopped.ok()) {
    GiveUp(std::span(&task, 1));
    return stopped;
  }
  if (!task.HoldsLeader()) return Died(pid);
  RETURN_IF_ERROR(task.ReadThreads());
  return task;
}

absl::StatusOr<FrozenTask> FrozenTask::FreezePatiently(pid_t pid, absl::Time deadline) {
  // For each of many threads to be seized.
  constexpr absl::Duration kOfThread = absl::Microseconds(100);
  ASSIGN_OR_RETURN(FrozenTask task, Open(pid));
  // Longer each time, for several may wait for a disk again and again, each at another time.
  for (absl::Duration stand = kFirstStand;; stand *= 2) {
    const absl::Duration seizing = CountThreads(task.dir_) * kOfThread;
    const absl::Time until = std::min(absl::Now() + seizing + stand, deadline);
    absl::Status stopped = StopAll(std::span(&task, 1), until, {});
    if (stopped.ok()) break;
    if (absl::IsDeadlineExceeded(stopped) && until < deadline) {
      task.LetStandingGo(true);
      stopped = task.WaitForStops(deadline, {});
    }
    if (!stopped.ok()) {
      GiveUp(std::span(&task, 1));
      return stopped;
    }
  }
  if (!task.HoldsLeader()) return Died(pid);
  RETURN_IF_ERROR(task.ReadThreads());
  return task;
}

absl::Status FrozenTask::Died(pid_t pid) {
  return MakeFailure(Failure::kTargetDied, absl::StatusCode::kNotFound,
                     absl::StrCat("process ", pid,
                                  " was killed by somebody else, or ended, while it was being "
                                  "frozen; no images were left"));
}

absl::StatusOr<std::optional<std::string>> FrozenTask::StatIfZombie() const {
  ASSIGN_OR_RETURN(std::string text, dir_.ReadWhole("stat"));
  ASSIGN_OR_RETURN(const TaskStat stat, ParseStat(text));
  if (!stat.zombie()) return std::nullopt;
  return text;
}

absl::Status FrozenTask::StopAll(std::span<FrozenTask> tasks, absl::Time deadline,
                                 const std::function<absl::Status()>& may_go_on,
                                 const std::function<absl::Status()>& thaw) {
  bool thawed = !thaw;
  const absl::Status stopped = StopByPasses(tasks, deadline, may_go_on, thaw, thawed);
  if (stopped.ok() || thawed) return stopped;
  // Kernel trap: a freezer of cgroup v2 interrupts calls, too. To be put back, all have to stop.
  for (FrozenTask& task : tasks) task.Interrupt().IgnoreError();
  thaw().IgnoreError();
  return stopped;
}

absl::Status FrozenTask::StopByPasses(std::span<FrozenTask> tasks, absl::Time deadline,
                                      const std::function<absl::Status()>& may_go_on,
                                      const std::function<absl::Status()>& thaw, bool& thawed) {
  // A thread that runs may start another one at any moment; a pass that finds all of them held and
  // stopped is the last.
  for (bool found = true; found;) {
    found = false;
    for (FrozenTask& task : tasks) {
      const absl::StatusOr<bool> more = task.SeizeNewThreads();
      // Gone altogether since it was seen: nobody had to wait for it.
      if (absl::IsNotFound(more.status()) && task.threads_.empty()) continue;
      if (absl::IsPermissionDenied(more.status())) {
        // What has died in the meantime cannot be seized.
        const auto zombie = task.StatIfZombie();
        if (zombie.ok() && zombie->has_value()) continue;
      }
      RETURN_IF_ERROR(more.status());
      found = found || *more;
    }
    for (FrozenTask& task : tasks) RETURN_IF_ERROR(task.Interrupt());
    if (!std::exchange(thawed, true)) RETURN_IF_ERROR(thaw());
    for (FrozenTask& task : tasks) RETURN_IF_ERROR(task.WaitForStops(deadline, may_go_on));
  }
  return absl::OkStatus();
}

// Whoever was asked to stop and has not run since, for it was not given a CPU, would find its call
// interrupted (epoll_wait(2): EINTR) if nobody were there to put it back.
void FrozenTask::GiveUp(std::span<FrozenTask> tasks) {
  const absl::Time until = absl::Now() + kLastLook;
  const ChildChanges sigchld;
  for (;;) {
    bool all_go_on = true;
    for (FrozenTask& task : tasks) {
      task.LetStandingGo(false);
      all_go_on = all_go_on && (task.running_.empty() || !task.asked_);
    }
    const absl::Time now = absl::Now();
    if (all_go_on || now >= until) return;
    sigchld.Wait(std::min(until, now + kAskInterval));
  }
}

void FrozenTask::TakeRows(const ThreadRows& rows) {
  const ThreadRows::ByTid read = rows.Read(pid_, threads_.size());
  for (FrozenThread& thread : threads_) {
    const auto row = read.find(thread.tid);
    if (row == read.end()) {
      thread.row.reset();
    } else {
      thread.row = row->second;
    }
  }
}

void FrozenTask::SiftRows() {
  for (FrozenThread& thread : threads_) {
    std::optional<ThreadRow>& row = thread.row;
    if (row && (row->seccomp_mode != 0 || row->has_tls)) row.reset();
  }
}

absl::Status FrozenTask::ReadThreads() {
  SiftRows();
  for (FrozenThread& thread : threads_) {
    const absl::Status read = ReadThread(thread);
    if (absl::IsNotFound(read)) return Died(pid_);
    RETURN_IF_ERROR(read);
  }
  read_ = true;
  return absl::OkStatus();
}

absl::StatusOr<FrozenThread> FrozenTask::Seize(pid_t tid) {
  FrozenThread thread{.tid = tid, .seccomp_suspended = may_suspend_seccomp_};
  if (may_suspend_seccomp_) {
    const absl::Status status = PtraceSeize(tid, kOptions | kSuspendSeccomp);
    if (!absl::IsPermissionDenied(status) && !absl::IsInvalidArgument(status)) {
      RETURN_IF_ERROR(status);
      return thread;
    }
  }
  RETURN_IF_ERROR(PtraceSeize(tid, kOptions));
  // So it was the suspension that was refused, as it will be for the next thread.
  may_suspend_seccomp_ = thread.seccomp_suspended = false;
  return thread;
}

absl::StatusOr<std::vector<int>> FrozenTask::ListThreads() {
  absl::StatusOr<std::vector<int>> tids = dumpctl::ListThreads(dir_, pid_);
  if (!absl::IsNotFound(tids.status()) || !std::exchange(may_be_older_, false)) return tids;
  ASSIGN_OR_RETURN(dir_, ProcDir::OpenTask(pid_));
  return dumpctl::ListThreads(dir_, pid_);
}

absl::StatusOr<bool> FrozenTask::SeizeNewThreads() {
  // Whoever is held and stands is among them until it is killed, and all others with it. So as many
  // are the same.
  if (!threads_.empty() && running_.empty() && CountThreads(dir_) == threads_.size()) return false;
  ASSIGN_OR_RETURN(const std::vector<int> tids, ListThreads());
  std::set<pid_t> held;
  for (const FrozenThread& thread : threads_) held.insert(thread.tid);
  // Who has exited meanwhile may have started another one, behind what had been listed.
  bool left = false;
  for (const pid_t tid : tids) {
    if (held.contains(tid)) continue;
    const absl::StatusOr<FrozenThread> thread = Seize(tid);
    // It may have exited since the list was read; a thread that is a zombie gives EPERM, and is
    // in the next list again if it is the leader.
    const bool denied = absl::IsPermissionDenied(thread.status());
    if (absl::IsNotFound(thread.status()) ||
        (denied && tid != pid_ && !dir_.OpenThread(tid).ok())) {
      left = true;
      continue;
    }
    RETURN_IF_ERROR(thread.status());
    threads_.push_back(*thread);
    running_.push_back(tid);
    asked_ = false;
  }
  // Kernel trap: where the thread that was listed last has exited meanwhile, the list ends there.
  return !running_.empty() || left || CountThreads(dir_) > threads_.size();
}

absl::Status FrozenTask::Interrupt() {
  asked_ = true;
  for (const pid_t tid : running_) {
    const absl::Status status = PtraceInterrupt(tid);
    if (!absl::IsNotFound(status)) RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

// The kernel does not tell of a dead leader before those have been waited for that stand
// (WaitStopOfLeader).
void FrozenTask::WaitForDead(std::set<pid_t>& gone) const {
  const auto zombie = StatIfZombie();
  if (!zombie.ok() || !zombie->has_value()) return;
  const std::set<pid_t> running(running_.begin(), running_.end());
  for (const FrozenThread& thread : threads_) {
    if (running.contains(thread.tid) || gone.contains(thread.tid)) continue;
    const absl::StatusOr<std::optional<Stop>> stop = PollStop(thread.tid);
    if (stop.ok() && *stop && (*stop)->kind == Stop::Kind::kGone) gone.insert(thread.tid);
  }
}

absl::Status FrozenTask::WaitForStops(absl::Time deadline,
                                      const std::function<absl::Status()>& may_go_on) {
  if (running_.empty()) return absl::OkStatus();
  ChildChanges sigchld;
  std::set<pid_t> gone;
  absl::Time look = absl::Now() + kAskInterval;
  while (!running_.empty()) {
    std::vector<pid_t> still;
    for (const pid_t tid : running_) {
      ASSIGN_OR_RETURN(const std::optional<Stop> stop, PollStop(tid));
      if (!stop) {
        still.push_back(tid);
      } else if (stop->kind == Stop::Kind::kGone) {
        gone.insert(tid);
      } else if (stop->kind == Stop::Kind::kSignal) {
        // Let it be delivered (a handler's frame is then part of the stack we dump); the stop we
        // ask for follows before the first instruction. Kernel trap: that of a signal may be all
        // that comes of the stop that was asked for before, for the lock under which that is done
        // is let go while an interval timer is wound up again, its signal taken already.
        for (const absl::Status& status : {PtraceInterrupt(tid), PtraceCont(tid, stop->signal)}) {
          // Killed meanwhile: the next look says so.
          if (!absl::IsNotFound(status)) RETURN_IF_ERROR(status);
        }
        still.push_back(tid);
      } else if (stop->kind == Stop::Kind::kGroupStop) {
        stop_signal_ = stop->signal;
      }
    }
    if (still.size() == running_.size()) {
      if (may_go_on) RETURN_IF_ERROR(may_go_on());
      const absl::Time now = absl::Now();
      if (now >= deadline) return TimedOut(pid_, still.front());
      if (now >= look) {
        WaitForDead(gone);
        look = now + kAskInterval;
      }
      sigchld.Wait(std::min(deadline, now + kAskInterval));
    }
    running_ = std::move(still);
  }
  std::erase_if(threads_, [&](const FrozenThread& t) { return gone.contains(t.tid); });
  std::sort(threads_.begin(), threads_.end(), [this](const auto& a, const auto& b) {
    return std::pair(a.tid != pid_, a.tid) < std::pair(b.tid != pid_, b.tid);
  });
  return absl::OkStatus();
}

absl::Status FrozenTask::ReadThread(FrozenThread& thread) {
  ASSIGN_OR_RETURN(const GeneralRegisters stopped, GetGeneralRegisters(thread.tid));
  ASSIGN_OR_RETURN(thread.sigmask, PtraceGetSigmask(thread.tid));
  ASSIGN_OR_RETURN(thread.rseq, GetRseqRegistration(thread.tid));
  // Where the kernel would report EINTR only because of our stop, repair it at once.
  thread.registers = PutBackRegisters(stopped);
  // A critical section makes no system calls (rseq(2)).
  if (thread.rseq && !IsInSyscall(stopped)) {
    ASSIGN_OR_RETURN(const RemoteMemory memory, RemoteMemory::Open(dir_));
    ASSIGN_OR_RETURN(const auto abort, RseqAbortAddress(*thread.rseq, thread.registers, memory));
    if (abort) thread.registers.rip = abort->value();
  }
  if (thread.registers.rip == stopped.rip) return absl::OkStatus();
  return SetGeneralRegisters(thread.tid, thread.registers);
}

void FrozenTask::LetStandingGo(bool last) {
  // Others may have stopped since they were looked at.
  std::set<pid_t> running;
  std::map<pid_t, int> signals;
  for (const pid_t tid : running_) {
    const absl::StatusOr<std::optional<Stop>> stop = PollStop(tid);
    if (!stop.ok()) continue;
    if (!*stop) running.insert(tid);
    // It has left its queue, and would be gone.
    if (*stop && (*stop)->kind == Stop::Kind::kSignal) signals[tid] = (*stop)->signal;
  }
  // The leader last, as in DetachAll.
  std::vector<FrozenThread> still;
  for (auto thread = threads_.rbegin(); thread != threads_.rend(); ++thread) {
    if (running.contains(thread->tid)) {
      still.push_back(*thread);
      continue;
    }
    const auto signal = signals.find(thread->tid);
    bool stood = true;
    if (signal == signals.end()) {
      ReadThread(*thread).IgnoreError();
      stood = !absl::IsNotFound(PtraceDetach(thread->tid, 0));
    } else if (last) {
      stood = !absl::IsNotFound(PtraceDetach(thread->tid, signal->second));
    } else {
      // One that is ignored would not have woken it, were it not traced: so its call is put back at
      // the stop behind it (see WaitForStops).
      asked_ = true;
      PtraceInterrupt(thread->tid).IgnoreError();
      PtraceCont(thread->tid, signal->second).IgnoreError();
      stood = false;
    }
    if (stood) continue;
    // Else it is dead, or another one has become the leader by execve(2), and runs.
    const absl::StatusOr<std::optional<Stop>> stop = PollStop(thread->tid);
    if (!stop.ok() || (*stop && (*stop)->kind == Stop::Kind::kGone)) continue;
    still.push_back(*thread);
    running.insert(thread->tid);
  }
  threads_.assign(still.rbegin(), still.rend());
  running_.assign(running.begin(), running.end());
}

absl::Status FrozenTask::DetachAll() {
  if (!read_) {
    // Given up before all stood. Whoever runs cannot be let go but by our end, which also gives it
    // the signal that it may be stopped with by then (see GiveUp).
    LetStandingGo(true);
    threads_.clear();
    return absl::OkStatus();
  }
  absl::Status result;
  // The leader last: it is the one that others look at.
  for (auto thread = threads_.rbegin(); thread != threads_.rend(); ++thread) {
    const absl::Status status = PtraceDetach(thread->tid, 0);
    if (!absl::IsNotFound(status)) result.Update(status);
  }
  threads_.clear();
  return result;
}

absl::Status FrozenTask::Resume() { return DetachAll(); }

absl::Status FrozenTask::LeaveStopped() {
  // Sent while all are held, so that no thread runs an instruction in between.
  if (stop_signal_ == 0 && kill(pid_, SIGSTOP) < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("stopping process ", pid_));
  }
  return DetachAll();
}

absl::Status FrozenTask::Kill() {
  if (kill(pid_, SIGKILL) < 0 && errno != ESRCH) {
    return absl::ErrnoToStatus(errno, absl::StrCat("killing process ", pid_));
  }
  return absl::OkStatus();
}

void FrozenTask::WaitForEnd() {
  // Each dead thread is reported to its tracer first; the leader, as the last, then to its parent.
  for (auto thread = threads_.rbegin(); thread != threads_.rend(); ++thread) {
    for (;;) {
      const absl::StatusOr<Stop> stop = WaitStop(thread->tid);
      if (!stop.ok() || stop->kind == Stop::Kind::kGone) break;
    }
  }
  threads_.clear();
}

}  // namespace dumpctl
