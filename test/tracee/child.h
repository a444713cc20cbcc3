#ifndef TEST_TRACEE_CHILD_H_
#define TEST_TRACEE_CHILD_H_

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

inline std::string Maps(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/maps");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

inline bool IsBlocked(const std::filesystem::path& thread) {
  std::ifstream file(thread / "stat");
  std::string text;
  std::getline(file, text);
  const size_t end = text.rfind(')');
  return end != std::string::npos && text[end + 2] == 'S';
}

// Waits until all threads of the child sleep in system calls.
inline void WaitUntilBlocked(pid_t pid) {
  const std::string threads = "/proc/" + std::to_string(pid) + "/task";
  const auto all_blocked = [&threads] {
    const std::filesystem::directory_iterator each(threads);
    return std::all_of(begin(each), end(each), [](const auto& it) { return IsBlocked(it.path()); });
  };
  while (!all_blocked()) usleep(100);
}

inline absl::Time Soon() { return absl::Now() + absl::Seconds(10); }

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
