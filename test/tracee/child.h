#ifndef TEST_TRACEE_CHILD_H_
#define TEST_TRACEE_CHILD_H_

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <sstream>
#include <string>

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

// Waits until the child sleeps in a system call.
inline void WaitUntilBlocked(pid_t pid) {
  for (;;) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(file, text);
    if (text[text.rfind(')') + 2] == 'S') return;
    usleep(100);
  }
}

inline absl::Time Soon() { return absl::Now() + absl::Seconds(10); }

inline void Ready(int fd) { EXPECT_EQ(write(fd, "r", 1), 1); }

}  // namespace dumpctl

#endif  // TEST_TRACEE_CHILD_H_
