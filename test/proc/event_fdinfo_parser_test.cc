#include "proc/event_fdinfo_parser.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/proc/malformed.h"

namespace dumpctl {
namespace {

constexpr char kHead[] = "pos:\t0\nflags:\t02\nmnt_id:\t17\nino:\t1039\n";

std::string With(const std::string& lines) { return absl::StrCat(kHead, lines); }

TEST(EventfdInfoTest, CountsInHexadecimal) {
  const auto info = ParseEventfdInfo(
      With("eventfd-count: fffffffffffffffe\neventfd-id: 5\neventfd-semaphore: 0\n"));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->count, 0xfffffffffffffffe);
  EXPECT_EQ(info->semaphore, false);
}

TEST(EventfdInfoTest, ASemaphore) {
  const auto info = ParseEventfdInfo(
      With("eventfd-count:               10\neventfd-id: 1\neventfd-semaphore: 1\n"));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->count, 16u);
  EXPECT_EQ(info->semaphore, true);
}

TEST(EventfdInfoTest, OlderKernelsDoNotTellSemaphores) {
  const auto info = ParseEventfdInfo(With("eventfd-count:                0\n"));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->semaphore, std::nullopt);
}

TEST(EventfdInfoTest, Malformed) {
  EXPECT_THAT(ParseEventfdInfo("pos:\t0\n").status(),
              Refuses(BadText{"", "eventfd-count", "pos:\\t0\\n"}));
  EXPECT_THAT(ParseEventfdInfo("eventfd-count: x\n").status(),
              Refuses(BadText{"", "eventfd-count", "eventfd-count: x"}));
  EXPECT_THAT(ParseEventfdInfo("eventfd-count: 1\neventfd-semaphore: 2\n").status(),
              Refuses(BadText{"", "eventfd-semaphore", "eventfd-semaphore: 2"}));
}

}  // namespace
}  // namespace dumpctl
