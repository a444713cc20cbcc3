#include "proc/cgroup_parser.h"

#include <unistd.h>

#include <ostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"
#include "test/proc/malformed.h"

namespace dumpctl {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

struct CgroupCase {
  const char* name;
  const char* text;
  std::vector<CgroupMembership> memberships;
};
void PrintTo(const CgroupCase& c, std::ostream* out) { *out << c.name; }

class CgroupTest : public ::testing::TestWithParam<CgroupCase> {};

TEST_P(CgroupTest, ReadsEveryLine) {
  const auto memberships = ParseCgroup(GetParam().text);
  ASSERT_TRUE(memberships.ok()) << memberships.status();
  EXPECT_EQ(*memberships, GetParam().memberships);
}

const CgroupCase kCgroupTexts[] = {
    {"6.18, version 1 beside 2, a zombie whose cgroup was removed",
     "9:name=systemd:/\n8:pids:/\n0::/xdel (deleted)\n",
     {{.hierarchy = 9, .controllers = "name=systemd", .path = "/"},
      {.hierarchy = 8, .controllers = "pids", .path = "/"},
      {.hierarchy = 0, .path = "/xdel", .deleted = true}}},
    {"6.1, version 2 alone",
     "0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope\n",
     {{.path = "/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope"}}},
    {"5.10, outside the reader's cgroup namespace",
     "0::/../../init.scope\n",
     {{.path = "/../../init.scope"}}},
    {"4.19, controllers that share a hierarchy, a colon in a name",
     "11:cpu,cpuacct:/docker/a b\n5:net_cls,net_prio:/x:y\n1:name=systemd:/z\n",
     {{.hierarchy = 11, .controllers = "cpu,cpuacct", .path = "/docker/a b"},
      {.hierarchy = 5, .controllers = "net_cls,net_prio", .path = "/x:y"},
      {.hierarchy = 1, .controllers = "name=systemd", .path = "/z"}}},
    {"removed, and named like one that was",
     "0::/x (deleted) (deleted)\n",
     {{.path = "/x (deleted)", .deleted = true}}},
    {"a kernel without cgroups", "", {}},
};
INSTANTIATE_TEST_SUITE_P(Kernels, CgroupTest, ::testing::ValuesIn(kCgroupTexts));

class BadCgroupTest : public ::testing::TestWithParam<BadText> {};

TEST_P(BadCgroupTest, QuotesTheLineAndNamesTheField) {
  // The line after a good one is the one that is quoted.
  const std::string text = absl::StrCat("0::/\n", GetParam().text, "\n");
  EXPECT_THAT(ParseCgroup(text).status(), Refuses(GetParam()));
}

const BadText kBadCgroupLines[] = {
    {"", "hierarchy", ""},
    {":cpu:/", "hierarchy", ":cpu:/"},
    {"-1:cpu:/", "hierarchy", "-1:cpu:/"},
    {"1", "controllers", "1"},
    {"1:cpu", "controllers", "1:cpu"},
    {"1::/", "controllers", "1::/"},
    {"0:cpu:/", "controllers", "0:cpu:/"},
    {"1:cpu:", "path", "1:cpu:"},
    {"0::x", "path", "0::x"},
};
INSTANTIATE_TEST_SUITE_P(Fields, BadCgroupTest, ::testing::ValuesIn(kBadCgroupLines));

TEST(CgroupLiveTest, ReadsThisTasksOwn) {
  const auto task = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(task.ok()) << task.status();
  const auto text = task->Read("cgroup");
  ASSERT_TRUE(text.ok()) << text.status();
  const auto memberships = ParseCgroup(*text);
  ASSERT_TRUE(memberships.ok()) << memberships.status();
  for (const CgroupMembership& membership : *memberships) {
    EXPECT_THAT(membership.path, Not(IsEmpty()));
    EXPECT_FALSE(membership.deleted);
  }
}

}  // namespace
}  // namespace dumpctl
