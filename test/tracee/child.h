#ifndef TEST_TRACEE_CHILD_H_
#define TEST_TRACEE_CHILD_H_

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace dumpctl {

// A child that runs `body` and exits with its result; killed if it outlives the test.
class Child {
 public:
  explicit Child(const std::function<int(int ready)>& body) {
    int pipe_fds[2];
    EXPECT_EQ(pipe(pipe_fds), 0);
    pid_ = fork();
    // Without one, what the test does next would go on for ever.
    if (pid_ < 0) std::abort();
    if (pid_ == 0) {
      close(pipe_fds[0]);
      _exit(body(pipe_fds[1]));
    }
    close(pipe_fds[1]);
    char byte;
    EXPECT_EQ(read(pipe_fds[0], &byte, 1), 1) << "the child did not get ready";
    close(pipe_fds[0]);
  }
  ~Child() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  pid_t pid() const { return pid_; }
  int Join() {
    int status = -1;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    pid_ = 0;
    return status;
  }

 private:
  pid_t pid_ = 0;
};

// Whether it times out. Asked by a process of its own: a thread that runs cannot be let go but by
// the end of its tracer.
inline bool IsGivenUp(const std::function<absl::Status()>& freeze) {
  const pid_t tracer = fork();
  if (tracer == 0) _exit(absl::IsDeadlineExceeded(freeze()) ? 0 : 1);
  int status = -1;
  EXPECT_EQ(waitpid(tracer, &status, 0), tracer);
  return status == 0;
}

// What holds a child until the test lets it go on; stands before the child.
class Gate {
 public:
  Gate() { EXPECT_EQ(pipe(fds_), 0); }
  ~Gate() {
    for (const int fd : fds_) close(fd);
  }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  void Open() const { EXPECT_EQ(write(fds_[1], "o", 1), 1); }
  // A byte can be read from it then.
  int fd() const { return fds_[0]; }
  // What poll(2) gives: 1 once it is open, 0 after so many milliseconds.
  int Poll(int patience = -1) const {
    pollfd opened = {fds_[0], POLLIN, 0};
    return poll(&opened, 1, patience);
  }

 private:
  int fds_[2];
};

inline std::string Maps(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/maps");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

inline absl::Time Soon() { return absl::Now() + absl::Seconds(10); }

// The letter that stands for it in procfs: X where there is no such task.
inline char StateOf(const std::filesystem::path& task) {
  std::ifstream file(task / "stat");
  std::string text;
  std::getline(file, text);
  const size_t end = text.rfind(')');
  return end == std::string::npos ? 'X' : text[end + 2];
}

// False, and the test fails, when the task ends instead, or takes too long.
inline bool WaitUntil(pid_t task, const std::string& does, const std::function<bool()>& done) {
  const absl::Time deadline = Soon();
  while (!done()) {
    const char state = StateOf("/proc/" + std::to_string(task));
    if (state == 'Z' || state == 'X' || absl::Now() > deadline) {
      ADD_FAILURE() << "in vain waited until " << task << " " << does << ": its state is " << state;
      return false;
    }
    usleep(100);
  }
  return true;
}

// Waits until all threads of the child sleep in system calls.
inline void WaitUntilBlocked(pid_t pid) {
  WaitUntil(pid, "sleeps", [threads = "/proc/" + std::to_string(pid) + "/task"] {
    const std::filesystem::directory_iterator each(threads);
    return std::all_of(begin(each), end(each),
                       [](const auto& it) { return StateOf(it.path()) == 'S'; });
  });
}

// Whether the thread sleeps in system call `number`.
inline bool IsIn(pid_t tid, long number) {
  std::ifstream file("/proc/" + std::to_string(tid) + "/syscall");
  // "running" is no number, and "-1 ..." is one that sleeps outside of any call.
  long current = -1;
  return file >> current && current == number;
}

inline bool WaitUntilIn(pid_t tid, long number) {
  return WaitUntil(tid, "sleeps in system call " + std::to_string(number),
                   [=] { return IsIn(tid, number); });
}

inline void Ready(int fd) { EXPECT_EQ(write(fd, "r", 1), 1); }

// A child with two threads, both of which sleep; 0 if neither sleep was interrupted.
inline int SleepInTwoThreads(int ready) {
  const auto sleep = [](int* result) {
    const timespec span = {1, 0};
    *result = nanosleep(&span, nullptr);
  };
  int results[2] = {1, 1};
  std::thread worker(sleep, &results[1]);
  Ready(ready);
  sleep(&results[0]);
  worker.join();
  return results[0] != 0 || results[1] != 0;
}

}  // namespace dumpctl

#endif  // TEST_TRACEE_CHILD_H_
