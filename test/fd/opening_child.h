#ifndef TEST_FD_OPENING_CHILD_H_
#define TEST_FD_OPENING_CHILD_H_

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "gtest/gtest.h"
#include "test/temporary_directory.h"

namespace dumpctl {

// A child that has opened something, in a directory of its own; killed when the test ends.
class OpeningChild {
 public:
  OpeningChild() = default;
  OpeningChild(const OpeningChild&) = delete;
  OpeningChild& operator=(const OpeningChild&) = delete;
  ~OpeningChild() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }

  // It has the descriptors `body` opens, from 3 on, and nothing but /dev/null below.
  void Start(const std::function<void()>& body) {
    int ready[2];
    ASSERT_EQ(pipe2(ready, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      const int null = open("/dev/null", O_RDWR);
      for (int fd = 0; fd < 3; ++fd) dup2(null, fd);
      const int told = fcntl(ready[1], F_DUPFD, 500);
      for (int fd = 3; fd < 500; ++fd) close(fd);
      if (chdir(directory_.c_str()) == 0) body();
      if (write(told, "r", 1) == 1) close(told);
      for (;;) pause();
    }
    close(ready[1]);
    char byte;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    // End of file: the child has closed the descriptor that told us.
    ASSERT_EQ(read(ready[0], &byte, 1), 0);
    close(ready[0]);
  }

  pid_t pid() const { return pid_; }
  const std::string& directory() const { return directory_; }

 private:
  const TemporaryDirectory place_;
  const std::string directory_ = place_.path();
  pid_t pid_ = 0;
};

}  // namespace dumpctl

#endif  // TEST_FD_OPENING_CHILD_H_
