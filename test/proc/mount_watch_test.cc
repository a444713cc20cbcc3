#include "proc/mount_watch.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace dumpctl {
namespace {

// 0 when all was as it should be, in a mount namespace of its own; 77 where there can be none.
int Watch() {
  if (unshare(CLONE_NEWNS) < 0) return 77;
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return 77;
  const auto watch = MountWatch::Start();
  if (!watch.ok()) return 1;
  if (watch->Changed()) return 2;
  if (mount("tmpfs", "/tmp", "tmpfs", 0, nullptr) < 0) return 77;
  if (!watch->Changed()) return 3;
  if (watch->Changed()) return 4;
  if (umount2("/tmp", MNT_DETACH) < 0) return 5;
  return watch->Changed() ? 0 : 6;
}

TEST(MountWatchTest, NoticesMounts) {
  const pid_t child = fork();
  if (child == 0) _exit(Watch());
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no mount namespace";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace dumpctl
