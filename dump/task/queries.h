#ifndef DUMP_TASK_QUERIES_H_
#define DUMP_TASK_QUERIES_H_

#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/tracee/remote_syscalls.h"
#include "dump/tracee/thread_answers.h"

namespace dumpctl {

// What only the task itself can tell: answers of system calls run in it.

// struct sigaction as the kernel has it on 64-bit x86 (rt_sigaction(2)).
struct KernelSigaction {
  uint64_t handler = 0;
  uint64_t flags = 0;
  uint64_t restorer = 0;
  uint64_t mask = 0;  // bit 0 = signal 1
};
static_assert(sizeof(KernelSigaction) == 32);

inline constexpr int kSignals = 64;

struct PosixTimerState {
  int id = 0;
  itimerspec value = {};  // remaining time (0: disarmed) and interval
  int overrun = 0;        // of the last delivered expiry
};

struct ProcessAnswers {
  std::array<KernelSigaction, kSignals> sigactions;  // [signal - 1]; SIGKILL and SIGSTOP stay empty
  std::array<itimerval, 3> itimers;                  // ITIMER_REAL, _VIRTUAL, _PROF: time remaining
  std::vector<PosixTimerState> posix_timers;
  uint64_t brk = 0;
  // Of its leader: /proc/PID has files of these two, but a call more among others costs less.
  uint32_t personality = 0;
  uint64_t timer_slack = 0;  // ns
  int dumpable = 0;
  bool child_subreaper = false;
  bool thp_disabled = false;
  // PR_GET_MDWE (Linux 6.3), 0 where the kernel has none.
  uint32_t memory_deny_write_execute = 0;
  // MEMBARRIER_CMD_GET_REGISTRATIONS (Linux 6.3), 0 where the kernel has none.
  uint32_t membarrier_registrations = 0;
  // What AskSessionKeyring said; 0 also where nobody asked, kUntold where that failed.
  int32_t session_keyring = 0;
  static constexpr int32_t kUntold = -1;
};

struct LeaderAnswers {
  ProcessAnswers process;
  ThreadAnswers thread;  // its own
};

// What is asked in the leader of a process, in two steps, so that several of them answer beside
// each other.
class LeaderQuestions {
 public:
  // `calls` and `leader` must outlive the object, and `calls` run no others until it has finished.
  static absl::StatusOr<LeaderQuestions> Start(RemoteSyscalls& calls, const FrozenThread& leader);
  LeaderQuestions(LeaderQuestions&& other) noexcept;
  LeaderQuestions& operator=(LeaderQuestions&&) = delete;
  ~LeaderQuestions();

  // `timer_ids` are those /proc/PID/timers lists.
  absl::StatusOr<LeaderAnswers> Finish(const std::vector<int>& timer_ids);

 private:
  struct Asked;

  LeaderQuestions(RemoteSyscalls& calls, const FrozenThread& leader);

  RemoteSyscalls* calls_;
  const FrozenThread* leader_;
  std::unique_ptr<Asked> asked_;
};

// Asks all of them but the first, whose answers are there, and gives their answers in their order.
absl::StatusOr<std::vector<ThreadAnswers>> AskThreads(RemoteSyscalls& calls,
                                                      std::span<const FrozenThread> threads,
                                                      const ThreadAnswers& leader);

}  // namespace dumpctl

#endif  // DUMP_TASK_QUERIES_H_
