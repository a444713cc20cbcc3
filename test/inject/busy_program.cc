#include "test/inject/busy_program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "test/inject/task_trace.h"

namespace dumpctl {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

[[noreturn]] void Die(const char* what) {
  perror(what);
  exit(2);
}

void Become(const std::string& program, const std::string& state_file, int mebibytes) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setsid();
  const int null = open("/dev/null", O_RDWR);
  for (const int fd : {0, 1, 2}) dup2(null, fd);
  close_range(3, ~0u, 0);
  const std::string size = std::to_string(mebibytes);
  execl(program.c_str(), program.c_str(), state_file.c_str(), size.c_str(), nullptr);
  _exit(127);
}

}  // namespace

BusyProgram::BusyProgram(const std::string& program, const std::string& state_file, int mebibytes) {
  const int file = open(state_file.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || ftruncate(file, sizeof(BusyState)) < 0) Die(state_file.c_str());
  void* const shared =
      mmap(nullptr, sizeof(BusyState), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (shared == MAP_FAILED) Die("mmap");
  close(file);
  state_ = static_cast<BusyState*>(shared);
  pid_ = fork();
  if (pid_ == 0) Become(program, state_file, mebibytes);
  if (!Wait(milliseconds(20'000), [this] { return state_->ready == kWorkers; })) {
    fprintf(stderr, "%s does not start\n", program.c_str());
    exit(2);
  }
  state_->want_steady = 1;
  Wait(milliseconds(5000), [this] { return state_->steady != 0; });
  traces_ = TracesOf(pid_);
  state_->want_steady = 0;
}

BusyProgram::~BusyProgram() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  munmap(state_, sizeof *state_);
}

bool BusyProgram::Wait(milliseconds patience, const std::function<bool()>& done) const {
  const auto deadline = steady_clock::now() + patience;
  while (!done()) {
    if (steady_clock::now() > deadline) return false;
    usleep(500);
  }
  return true;
}

std::string BusyProgram::Failure() const {
  siginfo_t info = {};
  if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
      info.si_pid == pid_) {
    return "it died (status " + std::to_string(info.si_status) + ")";
  }
  if (state_->failed != 0) return state_->error;
  return "";
}

std::optional<Worker> BusyProgram::Idle(const uint64_t (&before)[kWorkers]) const {
  for (int worker = 0; worker < kWorkers; ++worker) {
    if (worker == kPoll) continue;
    if (state_->workers[worker].count == before[worker]) return static_cast<Worker>(worker);
  }
  return std::nullopt;
}

std::string BusyProgram::PollComplaint() const {
  const std::string thread =
      "/proc/" + std::to_string(pid_) + "/task/" + std::to_string(state_->workers[kPoll].tid);
  std::ifstream file(thread + "/syscall");
  long number = -1;
  file >> number;
  if (number == SYS_poll || number == SYS_restart_syscall) return "";
  return "the poll is not being waited in, but system call " + std::to_string(number);
}

std::string BusyProgram::TraceComplaint(milliseconds patience) {
  state_->want_steady = 1;
  std::string complaint = "the address space does not get steady";
  Wait(patience, [&] {
    if (state_->steady == 0) return false;
    complaint = HeldThreads(pid_);
    if (complaint.empty()) complaint = Difference(traces_, TracesOf(pid_));
    if (complaint.empty()) complaint = PollComplaint();
    return complaint.empty();
  });
  state_->want_steady = 0;
  return complaint;
}

std::string BusyProgram::Complaint(milliseconds patience) {
  uint64_t before[kWorkers];
  for (int worker = 0; worker < kWorkers; ++worker) before[worker] = state_->workers[worker].count;
  ++state_->want;
  Wait(patience, [&] { return !Failure().empty() || !Idle(before).has_value(); });
  if (const std::string failure = Failure(); !failure.empty()) return failure;
  if (const auto idle = Idle(before)) {
    const std::string held = HeldThreads(pid_);
    return std::string(kWorkerNames[*idle]) + " does not get on" +
           (held.empty() ? held : ", and " + held);
  }
  const std::string trace = TraceComplaint(patience);
  // What was seen later weighs more.
  const std::string failure = Failure();
  return failure.empty() ? trace : failure;
}

std::string BusyProgram::WakeComplaint(milliseconds patience) {
  state_->want_wake = 1;
  const bool woken = Wait(patience, [this] { return state_->woken != 0; });
  if (const std::string failure = Failure(); !failure.empty()) return failure;
  return woken ? "" : "the poll does not end when there is something to read";
}

}  // namespace dumpctl
