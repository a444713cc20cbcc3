#include "proc/children_parser.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ChildrenParserTest, ReadsEveryPid) {
  EXPECT_THAT(*ParseChildren("7147 7150 4194303 "), ElementsAre(7147, 7150, 4194303));
  EXPECT_THAT(*ParseChildren("2 "), ElementsAre(2));
  EXPECT_THAT(*ParseChildren(""), IsEmpty());
}

TEST(ChildrenParserTest, ErrorsQuoteTheText) {
  for (const auto& [text, field] : std::vector<std::pair<std::string, std::string>>{
           {"12 13", "end"},
           {"12", "end"},
           {" ", "pid"},
           {"12  13 ", "pid"},
           {"x ", "pid"},
           {"-1 ", "pid"},
           {"0 ", "pid"},  // what the kernel shows of a task outside the reader's pid namespace
           {"4294967296 ", "pid"}}) {
    const absl::Status status = ParseChildren(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(absl::StrCat("field ", field)),
                                                     HasSubstr(absl::StrCat("\"", text, "\""))));
  }
}

TEST(ChildrenParserTest, ReadsThisThreadsOwnOldestFirst) {
  const auto thread = ProcDir::OpenTask(getpid())->OpenThread(getpid());
  ASSERT_TRUE(thread.ok()) << thread.status();
  if (thread->Read("children").status().code() == absl::StatusCode::kNotFound) {
    GTEST_SKIP() << "this kernel has no CONFIG_PROC_CHILDREN";
  }
  std::vector<pid_t> forked;
  for (int i = 0; i < 2; ++i) {
    const pid_t pid = fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      pause();
      _exit(0);
    }
    forked.push_back(pid);
  }
  const auto text = thread->Read("children");
  for (const pid_t pid : forked) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  ASSERT_TRUE(text.ok()) << text.status();
  const auto children = ParseChildren(*text);
  ASSERT_TRUE(children.ok()) << children.status();
  EXPECT_EQ(*children, forked);
}

}  // namespace
}  // namespace dumpctl
