#include "dump/fd/open_file.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <iterator>
#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "proc/kernel_features.h"

namespace dumpctl {
namespace {

// Alike as eventfds are; each third one shares its open file with the one before.
std::vector<int> OpenAlike(int count) {
  std::vector<int> fds;
  for (int i = 0; i < count; ++i) fds.push_back(i % 3 == 2 ? dup(fds.back()) : eventfd(0, 0));
  return fds;
}

bool TellsApart(OpenFileIndex& index, const std::vector<int>& fds) {
  std::set<uint32_t> numbers;
  uint32_t last = 0;
  for (size_t i = 0; i < fds.size(); ++i) {
    const auto number = index.NumberOf(getpid(), fds[i], Likeness());
    if (!number.ok() || (i % 3 == 2) != (*number == last)) return false;
    last = *number;
    numbers.insert(last);
  }
  return numbers.size() == fds.size() - fds.size() / 3;
}

// As in containers: kcmp(2) is refused from here on.
bool RefuseKcmp() {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kcmp, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {std::size(code), code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

// What `body` returns in a process of its own, where kcmp is refused.
template <typename Body>
int WithoutKcmp(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(RefuseKcmp() ? body() : 77);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(OpenFileIndex, TellsManyApartThatAreAlike) {
  OpenFileIndex index;
  const std::vector<int> fds = OpenAlike(600);
  EXPECT_TRUE(TellsApart(index, fds));
  for (const int fd : fds) close(fd);
}

TEST(OpenFileIndex, AsksForEachWithoutKcmp) {
  if (!KernelFeatures::Probe().value().Has(KernelFeature::kDupfdQuery)) {
    GTEST_SKIP() << "no F_DUPFD_QUERY, which takes Linux 6.10";
  }
  EXPECT_EQ(WithoutKcmp([] {
              OpenFileIndex index(true);
              return TellsApart(index, OpenAlike(30)) ? 1 : 0;
            }),
            1);
}

TEST(OpenFileIndex, SaysThatThereIsNoWay) {
  EXPECT_EQ(WithoutKcmp([] {
              OpenFileIndex index(false);
              const int fd = eventfd(0, 0);
              const bool first = index.NumberOf(getpid(), fd, Likeness()).ok();
              const auto second = index.NumberOf(getpid(), dup(fd), Likeness());
              return first && absl::IsFailedPrecondition(second.status()) ? 1 : 0;
            }),
            1);
}

}  // namespace
}  // namespace dumpctl
