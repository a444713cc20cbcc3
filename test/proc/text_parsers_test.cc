#include <signal.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/limits_parser.h"
#include "proc/proc_fs.h"
#include "proc/stat_parser.h"
#include "proc/status_parser.h"
#include "proc/timers_parser.h"
#include "proc/value_parsers.h"

namespace dumpctl {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

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
  EXPECT_EQ(stat->flags, 4194304u);
  EXPECT_EQ(stat->start_time, 659233u);
  EXPECT_EQ(stat->start_code, 94129874173952u);
  EXPECT_EQ(stat->start_stack, 140733566728624u);
  EXPECT_EQ(stat->start_brk, 94129881370624u);
  EXPECT_EQ(stat->env_end, 140733566734316u);
  EXPECT_EQ(stat->exit_code, 0);
  EXPECT_FALSE(stat->kernel_thread());
}

TEST(StatParserTest, ErrorsNameTheFieldAndQuoteTheLine) {
  std::string text = kStat;
  text.replace(text.find("94129881370624"), 3, "abc");
  EXPECT_THAT(std::string(ParseStat(text).status().message()),
              AllOf(HasSubstr("start_brk"), HasSubstr("abc29881370624")));
  EXPECT_THAT(std::string(ParseStat("7 (x) S 1\n").status().message()), HasSubstr("exit_code"));
  EXPECT_THAT(std::string(ParseStat("7 x S 1\n").status().message()), HasSubstr("comm"));
  EXPECT_FALSE(ParseStat("").ok());
}

// As Linux 6.18 prints it; 4.19 lacks Kthread, Seccomp_filters and THP_enabled.
constexpr char kStatus[] =
    "Name:\tworker \nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t7147\nNgid:\t0\nPid:\t7149\n"
    "PPid:\t1\nTracerPid:\t0\nUid:\t0\t1\t2\t3\nGid:\t4\t5\t6\t7\nFDSize:\t64\n"
    "Groups:\t4 24 1000 \nNStgid:\t7147\nNSpid:\t7149\t12\nKthread:\t0\nVmPeak:\t   11388 kB\n"
    "Threads:\t2\nSigQ:\t1/96364\nSigPnd:\t0000000000000800\nShdPnd:\t0000001000000000\n"
    "SigBlk:\t0000001000000800\nSigIgn:\t0000000000001000\nSigCgt:\t0000000180000200\n"
    "CapInh:\t0000000000000000\nCapPrm:\t000001fffeffffff\nCapEff:\t000001fffeffffff\n"
    "CapBnd:\t000001fffeffffff\nCapAmb:\t0000000000000001\nNoNewPrivs:\t1\nSeccomp:\t2\n"
    "Seccomp_filters:\t3\nSpeculation_Store_Bypass:\tvulnerable\n";

TEST(StatusParserTest, TakesWhatADumpUses) {
  const auto status = ParseStatus(kStatus);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->name, "worker ");
  EXPECT_EQ(status->umask, 022u);
  EXPECT_EQ(status->state, 'S');
  EXPECT_EQ(status->tgid, 7147);
  EXPECT_EQ(status->pid, 7149);
  EXPECT_EQ(status->uid, (IdSet{0, 1, 2, 3}));
  EXPECT_EQ(status->gid, (IdSet{4, 5, 6, 7}));
  EXPECT_THAT(status->groups, ElementsAre(4, 24, 1000));
  EXPECT_THAT(status->ns_pids, ElementsAre(7149, 12));
  EXPECT_EQ(status->kernel_thread, false);
  EXPECT_EQ(status->threads, 2u);
  EXPECT_EQ(status->pending, 0x800u);
  EXPECT_EQ(status->blocked, 0x1000000800u);
  EXPECT_EQ(status->caught, 0x180000200u);
  EXPECT_EQ(status->cap_effective, 0x1fffeffffffu);
  EXPECT_EQ(status->cap_ambient, 1u);
  EXPECT_TRUE(status->no_new_privs);
  EXPECT_EQ(status->seccomp_mode, 2u);
  EXPECT_EQ(status->seccomp_filters, 3u);
}

TEST(StatusParserTest, OlderKernelsHaveFewerFields) {
  std::string text = kStatus;
  for (const char* key : {"Kthread", "Seccomp_filters", "Umask", "NoNewPrivs"}) {
    const size_t at = text.find(std::string("\n") + key) + 1;
    text.erase(at, text.find('\n', at) + 1 - at);
  }
  const auto status = ParseStatus(text);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_FALSE(status->kernel_thread.has_value());
  EXPECT_FALSE(status->umask.has_value());
  EXPECT_FALSE(status->no_new_privs);
}

TEST(StatusParserTest, ErrorsNameTheField) {
  std::string text = kStatus;
  text.replace(text.find("Uid:\t0\t1"), 8, "Uid:\t0");
  EXPECT_THAT(std::string(ParseStatus(text).status().message()),
              AllOf(HasSubstr("Uid"), HasSubstr("Uid:\\t0")));
  EXPECT_THAT(std::string(ParseStatus("Name:\tx\n").status().message()), HasSubstr("no field"));
}

TEST(LimitsParserTest, AgreesWithTheKernel) {
  const auto dir = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(dir.ok());
  const auto limits = ParseLimits(*dir->Read("limits"));
  ASSERT_TRUE(limits.ok()) << limits.status();
  for (int resource = 0; resource < RLIM_NLIMITS; ++resource) {
    rlimit mine;
    ASSERT_EQ(getrlimit(static_cast<__rlimit_resource>(resource), &mine), 0);
    EXPECT_EQ((*limits)[static_cast<size_t>(resource)], (Rlimit{mine.rlim_cur, mine.rlim_max}))
        << resource;
  }
}

TEST(LimitsParserTest, ErrorsNameTheField) {
  EXPECT_THAT(std::string(ParseLimits("Limit\nMax cpu time   x 5 s\n").status().message()),
              HasSubstr("Max cpu time"));
  EXPECT_THAT(std::string(ParseLimits("Limit\nMax fun 1 5\n").status().message()),
              HasSubstr("Max fun"));
  EXPECT_THAT(std::string(ParseLimits("Limit\n").status().message()), HasSubstr("no field"));
}

TEST(TimersParserTest, TakesEveryKind) {
  const auto timers = ParseTimers(
      "ID: 2\nsignal: 35/000000000000002a\nnotify: none/pid.7147\nClockID: -6\n"
      "ID: 1\nsignal: 35/00007fff0000002a\nnotify: signal/tid.7148\nClockID: 0\n"
      "ID: 0\nsignal: 14/0000000000000000\nnotify: signal/pid.7147\nClockID: 1\n");
  ASSERT_TRUE(timers.ok()) << timers.status();
  EXPECT_THAT(
      *timers,
      ElementsAre(
          PosixTimer{
              .id = 2, .clock_id = -6, .signal = 35, .notify = SIGEV_NONE, .sigev_value = 42},
          PosixTimer{.id = 1,
                     .clock_id = 0,
                     .signal = 35,
                     .notify = SIGEV_THREAD_ID,
                     .sigev_value = 0x7fff0000002a,
                     .notify_tid = 7148},
          PosixTimer{.id = 0, .clock_id = 1, .signal = 14, .notify = SIGEV_SIGNAL}));
  EXPECT_TRUE(ParseTimers("")->empty());
}

TEST(TimersParserTest, ErrorsNameTheField) {
  EXPECT_THAT(std::string(ParseTimers("ID: 2\nnotify: none/pid.1\n").status().message()),
              HasSubstr("signal"));
  EXPECT_THAT(std::string(ParseTimers("ID: 2\n").status().message()), HasSubstr("no field signal"));
  EXPECT_FALSE(ParseTimers("ID: x\n").ok());
}

TEST(ValueParsersTest, TakeOneNumber) {
  EXPECT_EQ(*ParsePersonality("00040000\n"), 0x40000u);
  EXPECT_EQ(*ParseOomScoreAdj("-17\n"), -17);
  EXPECT_EQ(*ParseLoginuid("4294967295"), 4294967295u);
  EXPECT_EQ(*ParseTimerslack("50000\n"), 50000u);
  EXPECT_FALSE(ParseTimerslack("50000 1\n").ok());
  EXPECT_FALSE(ParsePersonality("\n").ok());
}

}  // namespace
}  // namespace dumpctl
