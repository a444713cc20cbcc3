#ifndef DUMP_TRACEE_FROZEN_TASK_H_
#define DUMP_TRACEE_FROZEN_TASK_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dump/tracee/registers_x86_64.h"
#include "dump/tracee/rseq.h"
#include "dumpctl/unique_fd.h"
#include "proc/proc_fs.h"
#include "proc/thread_rows.h"

namespace dumpctl {

// One stopped thread and what it was stopped with.
struct FrozenThread {
  pid_t tid = 0;
  // As it was stopped; never changed by system calls run in it.
  GeneralRegisters registers = {};
  uint64_t sigmask = 0;  // see PtraceGetSigmask
  std::optional<RseqRegistration> rseq;
  // Seccomp modes and filters do not apply while we hold the thread (PTRACE_O_SUSPEND_SECCOMP,
  // Linux 4.3; needs CAP_SYS_ADMIN and a caller that is not confined itself).
  bool seccomp_suspended = false;
  // What the kernel keeps of it, where that was read at once of many threads, and nothing of it is
  // out of the common: no seccomp, no descriptors of its own in the GDT. Then it is not asked for
  // anything of that.
  std::optional<ThreadRow> row;
};

// Of ptrace(2), that a frozen thread is held with.
unsigned long TraceOptions(const FrozenThread& thread);

// A process with all its threads stopped by PTRACE_SEIZE and PTRACE_INTERRUPT: no signal is sent,
// its parent sees nothing. Destroying the object lets it go on, or be stopped again if it was
// stopped by job control. All calls must come from the thread that created the object.
class FrozenTask {
 public:
  // Stops every thread, again and again until a pass finds no new one. At `deadline` gives up with
  // DeadlineExceeded (Failure::kTimeout) that names the thread that does not stop, and at an error
  // of `may_go_on`, asked at least every 100 ms, with that.
  static absl::StatusOr<FrozenTask> Freeze(pid_t pid, absl::Time deadline,
                                           const std::function<absl::Status()>& may_go_on = {});
  // The same where there is no haste: while a thread does not stop, for it has called vfork(2) or
  // waits for a disk, the others stand for kFirstStand, and then run until it has; where another
  // one does not stop then, twice as long.
  // Not where calls are to be told as they were entered: who runs on meanwhile enters
  // restart_syscall(2) instead.
  static absl::StatusOr<FrozenTask> FreezePatiently(pid_t pid, absl::Time deadline);
  static constexpr absl::Duration kFirstStand = absl::Milliseconds(50);
  // How long each of them may take longer than until `deadline`, for those to go on that stop only
  // after it has been given up.
  static constexpr absl::Duration kLastLook = absl::Seconds(1);

  FrozenTask(FrozenTask&& other) noexcept;
  FrozenTask& operator=(FrozenTask&&) = delete;
  ~FrozenTask();

  pid_t pid() const { return pid_; }
  const ProcDir& dir() const { return dir_; }
  // Refers to this very process (pidfd_open(2)), whoever gets its pid. Not kept, for there may be
  // thousands of processes.
  absl::StatusOr<UniqueFd> OpenPidfd() const;
  // The leader first, the others by id.
  const std::vector<FrozenThread>& threads() const { return threads_; }
  // The job-control signal the process was stopped by before the freeze, or 0.
  int stop_signal() const { return stop_signal_; }

  // The three ways out. Each ends the tracing; the object is then empty.
  absl::Status Resume();
  // Leaves the process stopped as by SIGSTOP (it goes on with SIGCONT).
  absl::Status LeaveStopped();
  // To be followed by WaitForEnd, unless it fails.
  absl::Status Kill();
  // Until it is dead. Its parent reaps it.
  void WaitForEnd();

 private:
  friend class FrozenTree;  // takes the same steps with many processes at a time

  FrozenTask(pid_t pid, ProcDir dir, bool may_be_older)
      : pid_(pid), dir_(std::move(dir)), may_be_older_(may_be_older) {}

  // Holds no thread yet. NotFound when there is no such process.
  static absl::StatusOr<FrozenTask> Open(pid_t pid);
  // The same by a directory that was opened some time ago: the pid may be somebody else's by now,
  // who is then taken.
  static FrozenTask OpenBy(pid_t pid, ProcDir dir) { return {pid, std::move(dir), true}; }
  // Nobody else is taken.
  static FrozenTask OpenThis(pid_t pid, ProcDir dir) { return {pid, std::move(dir), false}; }
  // Stops every thread of all of them: seizes all, then asks all to stop, before it waits for the
  // first, again and again until a pass finds no new one. Who has died meanwhile holds no leader.
  // `thaw` is called when the first pass has asked.
  static absl::Status StopAll(std::span<FrozenTask> tasks, absl::Time deadline,
                              const std::function<absl::Status()>& may_go_on,
                              const std::function<absl::Status()>& thaw = {});
  // The passes of that. `thawed` becomes true when `thaw` is called.
  static absl::Status StopByPasses(std::span<FrozenTask> tasks, absl::Time deadline,
                                   const std::function<absl::Status()>& may_go_on,
                                   const std::function<absl::Status()>& thaw, bool& thawed);
  // After an error of it: all go on at once but who has not stopped yet, and who of those was asked
  // to and does so within kLastLook goes on, too. Who does not is traced until our end.
  static void GiveUp(std::span<FrozenTask> tasks);
  static absl::Status Died(pid_t pid);
  // The text of its stat in procfs when it is a zombie; NotFound when it is gone altogether.
  absl::StatusOr<std::optional<std::string>> StatIfZombie() const;
  // Those there are now.
  absl::StatusOr<std::vector<int>> ListThreads();
  // Seizes threads that are not held yet. False when there was none.
  absl::StatusOr<bool> SeizeNewThreads();
  // Asks them to stop.
  absl::Status Interrupt();
  // Seizes one, with its seccomp filters suspended where we may.
  absl::StatusOr<FrozenThread> Seize(pid_t tid);
  // Waits until all of them have stopped, and forgets those that have exited instead.
  absl::Status WaitForStops(absl::Time deadline, const std::function<absl::Status()>& may_go_on);
  // Those that stand, where the leader has ended.
  void WaitForDead(std::set<pid_t>& gone) const;
  // False when the process has died since.
  bool HoldsLeader() const { return !threads_.empty() && threads_.front().tid == pid_; }
  // What the threads were stopped with, once all of them stand.
  absl::Status ReadThreads();
  // What the kernel keeps of them, at this moment.
  void TakeRows(const ThreadRows& rows);
  // Forgets what is out of the common.
  void SiftRows();
  absl::Status ReadThread(FrozenThread& thread);
  // Lets those go on that stand, their system calls put back; the others are left. Who stands at a
  // signal is given it: and then asked once more to stop, or, if it is the last time, let go.
  void LetStandingGo(bool last);
  absl::Status DetachAll();

  pid_t pid_ = 0;
  ProcDir dir_;
  bool may_be_older_;  // than the process that has the pid
  std::vector<FrozenThread> threads_;
  std::vector<pid_t> running_;  // seized, but not seen stopped yet
  bool asked_ = false;          // those to stop
  int stop_signal_ = 0;
  bool read_ = false;                // what all threads were stopped with
  bool may_suspend_seccomp_ = true;  // until the kernel has refused it
};

}  // namespace dumpctl

#endif  // DUMP_TRACEE_FROZEN_TASK_H_
