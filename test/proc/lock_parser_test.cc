#include "proc/lock_parser.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using Kind = FileLock::Kind;

struct Row {
  const char* text;
  FileLock lock;
};

// As Linux 6.18 prints them.
const Row kRows[] = {
    {"1: POSIX  ADVISORY  WRITE 359 fe:00:4711 0 EOF", {.kind = Kind::kPosix, .write = true}},
    {"2: POSIX  ADVISORY  READ 3 fe:00:11077246 25 34",
     {.kind = Kind::kPosix, .start = 25, .last = 34}},
    {"1: FLOCK  ADVISORY  WRITE 3 fe:00:11077194 0 EOF", {.kind = Kind::kFlock, .write = true}},
    {"1: OFDLCK ADVISORY  READ -1 00:1a:17 1 7", {.kind = Kind::kOfd, .start = 1, .last = 7}},
    {"1: LEASE  ACTIVE    READ 3 fe:00:17 0 EOF", {.kind = Kind::kLease}},
    {"1: LEASE  BREAKING  UNLCK 3 fe:00:17 0 EOF", {.kind = Kind::kLease, .breaking = true}},
    {"1: DELEG  ACTIVE    READ 3 fe:00:17 0 EOF", {.kind = Kind::kOther}},
    {"1: POSIX  MANDATORY WRITE 3 <none>:0 0 EOF", {.kind = Kind::kOther, .write = true}},
};

TEST(LockParserTest, KnowsEveryKind) {
  for (const Row& row : kRows) {
    const auto lock = ParseFileLock(row.text);
    ASSERT_TRUE(lock.ok()) << lock.status();
    EXPECT_EQ(*lock, row.lock) << row.text;
  }
}

TEST(LockParserTest, RefusesWhatItDoesNotUnderstand) {
  for (const auto& [text, field] : {
           std::pair("", "fields"),
           std::pair("POSIX ADVISORY WRITE 3 fe:00:17 0 EOF", "fields"),
           std::pair("1: -> POSIX ADVISORY WRITE 3 fe:00:17 0 EOF", "fields"),
           std::pair("1: POSIX ADVISORY UNLCK 3 fe:00:17 0 EOF", "access"),
           std::pair("1: POSIX ADVISORY WRITE 3 fe:00:17 x EOF", "start"),
           std::pair("1: POSIX ADVISORY WRITE 3 fe:00:17 5 4", "end"),
       }) {
    const auto lock = ParseFileLock(text);
    ASSERT_FALSE(lock.ok()) << text;
    EXPECT_TRUE(absl::IsDataLoss(lock.status()));
    EXPECT_THAT(std::string(lock.status().message()), testing::HasSubstr(field));
  }
}

}  // namespace
}  // namespace dumpctl
