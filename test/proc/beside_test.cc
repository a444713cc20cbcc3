#include "dumpctl/beside.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace dumpctl {
namespace {

TEST(BesideTest, WorksInAnotherThread) {
  EXPECT_NE(RunBeside([] { return gettid(); }).get(), gettid());
  pid_t apart = 0;
  EXPECT_TRUE(RunApart([&apart] { apart = gettid(); }));
  EXPECT_NE(apart, gettid());
}

TEST(BesideTest, WorksWhereThereCanBeNoThread) {
  const pid_t child = fork();
  if (child == 0) {
    // Of root the kernel counts none.
    const rlimit none = {};
    if (setrlimit(RLIMIT_NPROC, &none) != 0 || setresuid(64123, 64123, 64123) != 0) _exit(2);
    if (RunBeside([] { return gettid(); }).get() != gettid()) _exit(3);
    bool ran = false;
    _exit(RunApart([&ran] { ran = true; }) || ran ? 4 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace dumpctl
