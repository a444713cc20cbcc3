#include "dump/session/copy_guardian.h"

#include <signal.h>
#include <unistd.h>

#include <string>

#include "dump/tracee/frozen_task.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"
#include "proc/stat_parser.h"
#include "test/tracee/child.h"

namespace dumpctl {
namespace {

// There is no such process.
constexpr pid_t kNobody = 1 << 22;
constexpr size_t kMany = 10'000;

absl::StatusOr<ProcessCopy> MakeNone() { return absl::AbortedError("none is made"); }

// Each while those before are being made. How many of them came to be made.
size_t GuardWithin(CopyGuardian& guardian, size_t copies) {
  if (copies == 0) return 0;
  size_t made = 0;
  const auto copy = guardian.Guard(kNobody, 1, [&]() -> absl::StatusOr<ProcessCopy> {
    made = 1 + GuardWithin(guardian, copies - 1);
    return MakeNone();
  });
  EXPECT_FALSE(copy.ok());
  return made;
}

std::string ChildrenOf(pid_t pid) {
  const std::string id = std::to_string(pid);
  return ProcDir::OpenTask(pid)->Read("task/" + id + "/children").value_or("?");
}

uint64_t StartOf(pid_t pid) {
  const auto stat = ParseStat(ProcDir::OpenTask(pid)->Read("stat").value_or(""));
  return stat.ok() ? stat->start_time : 0;
}

TEST(CopyGuardianTest, HoldsAsManyAsTheTreeHas) {
  CopyGuardian guardian;
  ASSERT_TRUE(guardian.Start(kMany).ok());
  EXPECT_EQ(GuardWithin(guardian, kMany), kMany);
}

TEST(CopyGuardianTest, WhatHasEndedMakesRoom) {
  CopyGuardian guardian;
  ASSERT_TRUE(guardian.Start(1).ok());
  for (size_t i = 0; i < kMany; ++i) {
    ASSERT_EQ(guardian.Guard(kNobody, 1, MakeNone).status(), MakeNone().status()) << i;
  }
}

TEST(CopyGuardianTest, SaysSoWhereThereIsNoRoom) {
  CopyGuardian guardian;
  ASSERT_TRUE(guardian.Start(1).ok());
  EXPECT_LT(GuardWithin(guardian, kMany), kMany);
  // They have ended since.
  EXPECT_EQ(guardian.Guard(kNobody, 1, MakeNone).status(), MakeNone().status());
}

// By the guardian of who was killed.
TEST(CopyGuardianTest, SeesToOneBehindManyOthers) {
  const Child child([](int ready) {
    Ready(ready);
    for (;;) pause();
    return 0;
  });
  Child dumper([&](int ready) {
    CopyGuardian guardian;
    if (!guardian.Start(kMany).ok()) return 1;
    for (size_t i = 0; i < kMany; ++i) guardian.Guard(kNobody, 1, MakeNone).IgnoreError();
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    if (!task.ok()) return 2;
    const auto made = guardian.Guard(child.pid(), StartOf(child.pid()),
                                     [&task] { return ProcessCopy::Make(*task); });
    if (!made.ok() || made->number < kMany || !task->Resume().ok()) return 3;
    Ready(ready);
    for (;;) pause();
  });
  EXPECT_NE(ChildrenOf(child.pid()), "");
  kill(dumper.pid(), SIGKILL);
  dumper.Join();
  WaitUntil(child.pid(), "has no child", [&child] { return ChildrenOf(child.pid()).empty(); });
}

}  // namespace
}  // namespace dumpctl
