#include "dump/session/guardian.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "dump/tracee/ptrace_ops.h"

namespace dumpctl {
namespace {

// Does not consume it: a signal whose stop was read is lost if we are ended before it is passed on.
Stop NextStop(pid_t tid) {
  siginfo_t info = {};
  while (waitid(P_PID, static_cast<id_t>(tid), &info, WEXITED | WSTOPPED | WNOWAIT | __WALL) < 0) {
    if (errno != EINTR) return {.kind = Stop::Kind::kGone};
  }
  return DecodeStop(info);
}

// It goes on as if nobody watched. False for the stop of its end, and when it has ended.
bool PassOn(pid_t tid, const Stop& stop) {
  switch (stop.kind) {
    case Stop::Kind::kEvent:  // the only one that is asked for
    case Stop::Kind::kGone:
      return false;
    case Stop::Kind::kGroupStop:
      // Kept until SIGCONT.
      ptrace(PTRACE_LISTEN, tid, nullptr, nullptr);
      return true;
    default:
      ptrace(PTRACE_CONT, tid, nullptr, stop.signal);
      return true;
  }
}

// True when the thread is about to end, which it does when we have ended. False where it may not be
// traced.
//
// PTRACE_EVENT_EXIT comes before the kernel closes any descriptor of the thread and before it lets
// go of whom it traces, also where SIGKILL ends it (do_exit; a second one is dropped, Linux 5.18,
// or cuts this stop short).
bool TraceToEnd(pid_t tid, int watches) {
  const bool traced = ptrace(PTRACE_SEIZE, tid, nullptr, PTRACE_O_TRACEEXIT) == 0;
  eventfd_write(watches, 1);
  while (traced && PassOn(tid, NextStop(tid))) {
  }
  return traced;
}

struct Ends {
  int parent;   // a pidfd
  int asked;    // an eventfd, of which a thread id is read
  int watches;  // an eventfd
};

[[noreturn]] void WaitForEnd(const Ends& ends, void (*deed)(void*), void* argument) {
  pollfd events[] = {{.fd = ends.parent, .events = POLLIN, .revents = 0},
                     {.fd = ends.asked, .events = POLLIN, .revents = 0}};
  bool stopped = false;
  while (!stopped && events[0].revents == 0) {
    if (poll(events, 2, -1) < 0) continue;
    eventfd_t tid = 0;
    if (events[0].revents != 0 || eventfd_read(ends.asked, &tid) < 0) continue;
    stopped = TraceToEnd(static_cast<pid_t>(tid), ends.watches);
  }
  deed(argument);
  _exit(0);
}

pid_t CloneWithFiles() {
  return static_cast<pid_t>(
      syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

}  // namespace

absl::Status Guardian::Start(void (*deed)(void* argument), void* argument) {
  return StartAs(CloneWithFiles, deed, argument);
}

absl::Status Guardian::StartApart(void (*deed)(void* argument), void* argument) {
  return StartAs(fork, deed, argument);
}

absl::Status Guardian::StartAs(pid_t (*make)(), void (*deed)(void* argument), void* argument) {
  if (started()) return absl::FailedPreconditionError("there is a guardian already");
  self_.Reset(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
  if (!self_) return absl::ErrnoToStatus(errno, "pidfd_open of this process");
  asked_.Reset(eventfd(0, EFD_CLOEXEC));
  watches_.Reset(eventfd(0, EFD_CLOEXEC));
  if (!asked_ || !watches_) return absl::ErrnoToStatus(errno, "eventfd for a guardian");
  // It shall be ended by us alone, not by ^C. The mask is inherited.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = make();
  // Whoever kills our process group has to leave it to its work.
  if (pid == 0) setpgid(0, 0);
  if (pid == 0) WaitForEnd({self_.get(), asked_.get(), watches_.get()}, deed, argument);
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return absl::ErrnoToStatus(error, "starting a guardian");
  setpgid(pid, pid);  // whichever of us comes first
  pid_ = pid;
  return absl::OkStatus();
}

void Guardian::WatchClosely() {
  if (watched_ || !started() || gettid() != getpid()) return;
  watched_ = true;
  const UniqueFd guardian(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (!guardian || eventfd_write(asked_.get(), static_cast<eventfd_t>(gettid())) < 0) return;
  // Somebody may have killed it, or stopped it.
  pollfd events[] = {{.fd = watches_.get(), .events = POLLIN, .revents = 0},
                     {.fd = guardian.get(), .events = POLLIN, .revents = 0}};
  constexpr int kPatienceMs = 1000;
  while (poll(events, 2, kPatienceMs) < 0 && errno == EINTR) {
  }
}

void Guardian::Dismiss() {
  watched_ = false;
  const pid_t pid = std::exchange(pid_, 0);
  if (pid <= 0) return;
  kill(pid, SIGKILL);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace dumpctl
