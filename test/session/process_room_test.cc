#include "dump/session/process_room.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gtest/gtest.h"
#include "proc/proc_fs.h"
#include "test/session/limited_child.h"

namespace dumpctl {
namespace {

uint64_t RoomUnder(uint64_t limit) {
  const LimitedChild limited("pids", {"pids.max"}, limit);
  const auto task = ProcDir::OpenTask(limited.pid());
  EXPECT_TRUE(task.ok());
  return RoomForProcesses(*task);
}

TEST(ProcessRoomTest, IsWhatCgroupsHaveLeftButForSpareOnes) {
  if (!LimitedChild("pids", {"pids.max"}, 100).in()) {
    GTEST_SKIP() << "pids cgroups cannot be made here";
  }
  // One is there.
  EXPECT_EQ(RoomUnder(100), 100U - 1 - 16);
  EXPECT_EQ(RoomUnder(18), 1U);
  EXPECT_EQ(RoomUnder(17), 0U);
  EXPECT_EQ(RoomUnder(3), 0U);
}

// Of nobody's process.
bool IsLow(rlim_t limit) {
  int ready[2];
  EXPECT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const rlimit processes = {limit, limit};
    if (setrlimit(RLIMIT_NPROC, &processes) != 0 || setuid(65534) != 0) _exit(1);
    if (write(ready[1], "r", 1) == 1) pause();
    _exit(0);
  }
  close(ready[1]);
  char byte;
  EXPECT_EQ(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  const auto task = ProcDir::OpenTask(child);
  EXPECT_TRUE(task.ok());
  const bool low = HasLowProcessLimit(*task);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return low;
}

TEST(ProcessRoomTest, TellsALowLimitOfAUser) {
  if (getuid() != 0) GTEST_SKIP() << "only root can be somebody else";
  EXPECT_TRUE(IsLow(10));
  EXPECT_FALSE(IsLow(10000));
}

}  // namespace
}  // namespace dumpctl
