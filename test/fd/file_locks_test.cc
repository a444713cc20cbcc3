#include "dump/fd/file_locks.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

const std::string kPosix = "1: POSIX  ADVISORY  WRITE 3 fe:00:17 5 14";
const std::string kFlock = "2: FLOCK  ADVISORY  READ 3 fe:00:17 0 EOF";
const std::string kBreaking = "1: LEASE  BREAKING  READ 3 fe:00:17 0 EOF";
const std::string kDelegation = "1: DELEG  ACTIVE    READ 3 fe:00:17 0 EOF";

TEST(FileLocksTest, ALockOfSeveralDescriptorsIsToldOnce) {
  FileLocks locks;
  ASSERT_TRUE(locks.Add(3, 5, 17, {kPosix, kFlock}).ok());
  ASSERT_TRUE(locks.Add(3, 6, 17, {kFlock}).ok());
  ASSERT_TRUE(locks.Add(4, 5, 17, {"1: FLOCK  ADVISORY  READ 3 fe:00:17 0 EOF"}).ok());
  ASSERT_TRUE(locks.Add(3, 7, 18, {kFlock}).ok()) << "of another open file";
  ASSERT_THAT(locks.entries(), SizeIs(3));
  const image::file_lock_entry& posix = locks.entries()[0];
  EXPECT_EQ(posix.flag(), 1u);
  EXPECT_EQ(posix.type(), 1u);
  EXPECT_EQ(posix.pid(), 3);
  EXPECT_EQ(posix.fd(), 5);
  EXPECT_EQ(posix.start(), 5);
  EXPECT_EQ(posix.len(), 10);
  EXPECT_EQ(locks.entries()[1].flag(), 2u);
  EXPECT_EQ(locks.entries()[1].len(), 0) << "to the end of the file";
  EXPECT_EQ(locks.entries()[2].fd(), 7);
}

TEST(FileLocksTest, WhatIsRefused) {
  EXPECT_FALSE(WhyNotLocked({}, false)->has_value());
  EXPECT_FALSE(WhyNotLocked({kPosix, kFlock}, true)->has_value());
  EXPECT_THAT(std::string(WhyNotLocked({kPosix}, false)->value().remedy),
              HasSubstr("--file-locks"));
  EXPECT_THAT(std::string(WhyNotLocked({kBreaking}, true)->value().why), HasSubstr("broken"));
  EXPECT_THAT(std::string(WhyNotLocked({kPosix, kDelegation}, true)->value().why),
              HasSubstr("of a kind"));
  EXPECT_TRUE(absl::IsDataLoss(WhyNotLocked({"1: POSIX"}, true).status()));
}

TEST(FileLocksTest, LeasesAreSeen) {
  EXPECT_TRUE(HasLease("pos:\t0\nlock:\t" + kBreaking + "\n"));
  EXPECT_FALSE(HasLease("pos:\t0\nlock:\t" + kFlock + "\n"));
}

}  // namespace
}  // namespace dumpctl
