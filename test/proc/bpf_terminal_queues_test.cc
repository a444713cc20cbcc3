#include "proc/bpf_terminal_queues.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "dumpctl/unique_fd.h"
#include "gtest/gtest.h"
#include "proc/kernel_features.h"

namespace dumpctl {
namespace {

// A pseudo-terminal, with a line that waits to be read from its slave.
class Terminal {
 public:
  explicit Terminal(std::string_view line) : master_(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    grantpt(master_.get());
    unlockpt(master_.get());
    std::array<char, 64> name = {};
    ptsname_r(master_.get(), name.data(), name.size());
    slave_ = UniqueFd(open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    pollfd arrives = {.fd = slave_.get(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(write(master_.get(), line.data(), line.size()), static_cast<ssize_t>(line.size()));
    EXPECT_EQ(poll(&arrives, 1, 10'000), 1);
  }

  int slave() const { return slave_.get(); }

 private:
  UniqueFd master_;
  UniqueFd slave_;
};

// Another process, with a terminal of its own under the same number.
class Other {
 public:
  Other(int number, std::string_view line) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    child_ = fork();
    if (child_ == 0) {
      const Terminal terminal(line);
      dup2(terminal.slave(), number);
      (void)!write(ends[1], "", 1);
      for (;;) pause();
    }
    char ready;
    EXPECT_EQ(read(ends[0], &ready, 1), 1);
    close(ends[0]);
    close(ends[1]);
  }
  ~Other() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }

 private:
  pid_t child_ = 0;
};

TEST(BpfTerminalQueuesTest, TellsOfOurOwnTerminalsAlone) {
  if (!KernelFeatures::Probe()->Has(KernelFeature::kBpfTaskFile)) GTEST_SKIP() << "no BPF";
  const auto queues = BpfTerminalQueues::Load();
  // Before Linux 6.1.
  if (absl::IsNotFound(queues.status())) GTEST_SKIP() << queues.status();
  ASSERT_TRUE(queues.ok()) << queues.status();
  const Terminal ours("ours\n");
  const Other other(ours.slave(), "theirs\n");
  const auto told = queues->Read();
  ASSERT_TRUE(told.ok()) << told.status();
  ASSERT_TRUE(told->contains(ours.slave()));
  const TerminalQueue& queue = told->at(ours.slave());
  EXPECT_EQ(queue.bytes, "ours\n");
  EXPECT_EQ(queue.ends, (std::vector<bool>{false, false, false, false, true}));
}

}  // namespace
}  // namespace dumpctl
