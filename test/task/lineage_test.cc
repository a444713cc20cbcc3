#include "dump/task/lineage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dumpctl {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TaskStat Task(pid_t pid, pid_t ppid, pid_t session) {
  TaskStat task;
  task.pid = pid;
  task.ppid = ppid;
  task.session = session;
  return task;
}

auto Of(pid_t pid) { return Field(&ResourceRefusal::pid, pid); }

TEST(RefuseLineageTest, SessionsOfParentsAndOnesOwn) {
  const TaskStat tree[] = {Task(10, 1, 10), Task(11, 10, 10), Task(12, 10, 12), Task(13, 12, 12)};
  EXPECT_THAT(RefuseLineage(tree), IsEmpty());
}

TEST(RefuseLineageTest, ARootInSomebodyElsesSession) {
  const TaskStat tree[] = {Task(10, 1, 5), Task(11, 10, 5)};
  EXPECT_THAT(RefuseLineage(tree), IsEmpty());
}

TEST(RefuseLineageTest, BornBeforeItsParentsLedSessionsOfTheirOwn) {
  const TaskStat tree[] = {Task(10, 1, 10), Task(11, 10, 11), Task(12, 11, 12), Task(13, 12, 10)};
  EXPECT_THAT(RefuseLineage(tree), IsEmpty());
}

TEST(RefuseLineageTest, AdoptedFromASessionWithoutALeader) {
  const TaskStat tree[] = {Task(10, 1, 10), Task(12, 10, 11)};
  EXPECT_THAT(RefuseLineage(tree), ElementsAre(Of(12)));
}

TEST(RefuseLineageTest, AdoptedFromASessionWhoseLeaderLives) {
  const TaskStat tree[] = {Task(10, 1, 10), Task(11, 10, 11), Task(12, 10, 11)};
  EXPECT_THAT(RefuseLineage(tree), ElementsAre(Of(12)));
}

TEST(RefuseLineageTest, AParentThatLeadsNothingHasNeverBeenElsewhere) {
  const TaskStat tree[] = {Task(10, 1, 10), Task(11, 10, 11), Task(12, 11, 11), Task(13, 12, 10)};
  EXPECT_THAT(RefuseLineage(tree), ElementsAre(Of(13)));
}

TEST(RefuseSharedTest, MemoryAndFsButNotDescriptorTables) {
  const TaskStat tree[] = {Task(10, 1, 10), Task(11, 10, 10), Task(12, 10, 10)};
  const ObjectIds ids[] = {{2, 2, 2, 2}, {3, 2, 2, 3}, {2, 4, 4, 2}};
  EXPECT_THAT(
      RefuseShared(tree, ids),
      ElementsAre(Field(&ResourceRefusal::why, HasSubstr("process 10 (clone(2), CLONE_VM)")),
                  Field(&ResourceRefusal::why, HasSubstr("CLONE_FS"))));
}

TEST(RefuseZombieTest, ExitCodesOfMoreThanSevenBits) {
  TaskStat zombie = Task(11, 10, 10);
  for (const int code : {0, 1 << 8, 127 << 8, 9, 11 | 0x80}) {
    zombie.exit_code = code;
    EXPECT_THAT(RefuseZombie(zombie), IsEmpty()) << code;
  }
  for (const int code : {128 << 8, 255 << 8}) {
    zombie.exit_code = code;
    EXPECT_THAT(RefuseZombie(zombie), ElementsAre(Of(11))) << code;
  }
}

}  // namespace
}  // namespace dumpctl
