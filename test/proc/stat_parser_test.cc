#include "proc/stat_parser.h"

#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"
#include "test/proc/malformed.h"

namespace dumpctl {
namespace {

constexpr char kStat[] =
    "7147 (a) R 1 (x) S 1 7147 7146 1025 -1 4194304 210 0 3 0 1 2 0 0 20 0 2 0 659233 "
    "11661312 371 18446744073709551615 94129874173952 94129874175897 140733566728624 0 0 0 0 "
    "4096 1073811473 0 0 0 17 1 0 0 0 0 0 94129874185680 94129874186376 94129881370624 "
    "140733566732950 140733566732957 140733566732957 140733566734316 0\n";

TEST(StatParserTest, TheLastParenthesisEndsTheName) {
  const auto stat = ParseStat(kStat);
  ASSERT_TRUE(stat.ok()) << stat.status();
  EXPECT_EQ(stat->comm, "a) R 1 (x");
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->ppid, 1);
  EXPECT_EQ(stat->session, 7146);
  EXPECT_EQ(stat->tty_nr, 1025);
  EXPECT_EQ(stat->tpgid, -1);
  EXPECT_EQ(stat->flags, 4194304u);
  EXPECT_EQ(stat->start_time, 659233u);
  EXPECT_EQ(stat->start_code, 94129874173952u);
  EXPECT_EQ(stat->start_stack, 140733566728624u);
  EXPECT_EQ(stat->start_brk, 94129881370624u);
  EXPECT_EQ(stat->env_end, 140733566734316u);
  EXPECT_EQ(stat->exit_code, 0);
  EXPECT_FALSE(stat->kernel_thread());
  EXPECT_FALSE(stat->zombie());
}

// Linux 6.18.
TEST(StatParserTest, AZombieHasNoLayout) {
  const auto stat = ParseStat(
      "9409 (python3) Z 9408 9406 2946 0 -1 4227148 67 0 0 0 0 0 0 0 20 0 1 0 70489 0 0 "
      "18446744073709551615 0 0 0 0 0 0 0 16781312 2 1 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 1792\n");
  ASSERT_TRUE(stat.ok()) << stat.status();
  EXPECT_TRUE(stat->zombie());
  EXPECT_EQ(stat->exit_code, 7 << 8);
  EXPECT_EQ(stat->start_stack, 0u);
}

TEST(StatParserTest, AKernelThreadIsTold) {
  const auto stat = ParseStat(
      "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 21 0 0 18446744073709551615 0 0 "
      "0 0 0 0 0 2147483647 0 1 0 0 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
  ASSERT_TRUE(stat.ok()) << stat.status();
  EXPECT_TRUE(stat->kernel_thread());
  EXPECT_EQ(stat->ppid, 0);
}

// Older kernels end with exit_code as well (Linux 3.5); a later one may append fields.
TEST(StatParserTest, MoreFieldsAreTaken) {
  std::string text = kStat;
  text.insert(text.size() - 1, " 5 6");
  const auto stat = ParseStat(text);
  ASSERT_TRUE(stat.ok()) << stat.status();
  EXPECT_EQ(stat->exit_code, 0);
}

// kStat with one word replaced, and how an error quotes it.
BadText Replaced(std::string_view word, std::string_view by, const std::string& field) {
  std::string text = kStat;
  text.replace(text.find(word), word.size(), by);
  return {text, field, absl::StrCat(text.substr(0, text.size() - 1), "\\n")};
}

class BadStatTest : public ::testing::TestWithParam<BadText> {};

TEST_P(BadStatTest, QuotesTheLineAndNamesTheField) {
  EXPECT_THAT(ParseStat(GetParam().text).status(), Refuses(GetParam()));
}

const BadText kBadStatTexts[] = {
    {"", "comm", ""},
    {"7 x S 1\n", "comm", "7 x S 1\\n"},
    {"7) (x S 1\n", "comm", "7) (x S 1\\n"},
    {"7 (x) S 1\n", "exit_code", "7 (x) S 1\\n"},
    Replaced("7147 ", "7147a ", "pid"),
    Replaced(" S 1 ", " SS 1 ", "state"),
    Replaced(" S 1 ", " S x ", "ppid"),
    Replaced(" 7147 7146", " 7147x 7146", "pgrp"),
    Replaced("7146", "2147483648", "session"),
    Replaced("1025", "0x401", "tty_nr"),
    Replaced("1025 -1", "1025 -x", "tpgid"),
    Replaced("4194304", "-1", "flags"),
    Replaced("659233", "6592,33", "starttime"),
    Replaced("94129874173952", "18446744073709551616", "startcode"),
    Replaced("94129874175897", "a", "endcode"),
    Replaced("140733566728624", "-5", "startstack"),
    Replaced("94129874185680", "+1", "start_data"),
    Replaced("94129874186376", "1.5", "end_data"),
    Replaced("94129881370624", "abc", "start_brk"),
    Replaced("140733566732950", "x", "arg_start"),
    Replaced("140733566732957", "x", "arg_end"),
    Replaced("140733566734316", "x", "env_end"),
    Replaced("140733566734316 0", "140733566734316 0x7", "exit_code"),
};
INSTANTIATE_TEST_SUITE_P(Fields, BadStatTest, ::testing::ValuesIn(kBadStatTexts));

TEST(StatParserTest, ReadsThisTasksOwn) {
  const auto text = ProcDir::OpenTask(getpid())->Read("stat");
  ASSERT_TRUE(text.ok()) << text.status();
  const auto stat = ParseStat(*text);
  ASSERT_TRUE(stat.ok()) << stat.status();
  EXPECT_EQ(stat->pid, getpid());
  EXPECT_EQ(stat->ppid, getppid());
  EXPECT_EQ(stat->session, getsid(0));
}

}  // namespace
}  // namespace dumpctl
