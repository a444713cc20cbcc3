#include "proc/status_parser.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"
#include "test/proc/malformed.h"

namespace dumpctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// As Linux 6.18 prints it.
constexpr char kStatus[] =
    "Name:\tworker \nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t7147\nNgid:\t0\nPid:\t7149\n"
    "PPid:\t1\nTracerPid:\t0\nUid:\t0\t1\t2\t3\nGid:\t4\t5\t6\t7\nFDSize:\t64\n"
    "Groups:\t4 24 1000 \nNStgid:\t7147\nNSpid:\t7149\t12\nKthread:\t0\nVmPeak:\t   11388 kB\n"
    "VmRSS:\t    5120 kB\nRssAnon:\t    1000 kB\nRssFile:\t    4000 kB\nRssShmem:\t     120 kB\n"
    "VmPTE:\t     160 kB\nVmSwap:\t      12 kB\n"
    "Threads:\t2\nSigQ:\t1/96364\nSigPnd:\t0000000000000800\nShdPnd:\t0000001000000000\n"
    "SigBlk:\t0000001000000800\nSigIgn:\t0000000000001000\nSigCgt:\t0000000180000200\n"
    "CapInh:\t0000000000000000\nCapPrm:\t000001fffeffffff\nCapEff:\t000001fffeffffff\n"
    "CapBnd:\t000001fffeffffff\nCapAmb:\t0000000000000001\nNoNewPrivs:\t1\nSeccomp:\t2\n"
    "Seccomp_filters:\t3\nSpeculation_Store_Bypass:\tvulnerable\n";

// The example of proc_pid_status(5), of Linux 4.17, without the lines between FDSize and Threads.
constexpr char kStatus4[] =
    "Name:\tbash\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t17248\nNgid:\t0\nPid:\t17248\n"
    "PPid:\t17200\nTracerPid:\t0\nUid:\t1000\t1000\t1000\t1000\nGid:\t100\t100\t100\t100\n"
    "FDSize:\t256\nGroups:\t16 33 100\nNStgid:\t17248\nNSpid:\t17248\nNSpgid:\t17248\n"
    "NSsid:\t17200\nHugetlbPages:          0 kB\nCoreDumping:\t0\nThreads:\t1\nSigQ:\t0/3067\n"
    "SigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\nSigBlk:\t0000000000010000\n"
    "SigIgn:\t0000000000384004\nSigCgt:\t000000004b813efb\nCapInh:\t0000000000000000\n"
    "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\tffffffffffffffff\n"
    "CapAmb:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t0\n"
    "Speculation_Store_Bypass:\tvulnerable\nCpus_allowed:\t00000001\n";

// A zombie of Linux 6.18.
constexpr char kZombie[] =
    "Name:\tpython3\nState:\tZ (zombie)\nTgid:\t9409\nNgid:\t0\nPid:\t9409\nPPid:\t9408\n"
    "TracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t0\nGroups:\t \nNStgid:\t9409\n"
    "NSpid:\t9409\nNSpgid:\t9406\nNSsid:\t2946\nKthread:\t0\nThreads:\t1\nSigQ:\t0/96364\n"
    "SigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\nSigBlk:\t0000000000000000\n"
    "SigIgn:\t0000000001001000\nSigCgt:\t0000000000000002\nCapInh:\t0000000000000000\n"
    "CapPrm:\t000001fffeffffff\nCapEff:\t000001fffeffffff\nCapBnd:\t000001fffeffffff\n"
    "CapAmb:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t0\nSeccomp_filters:\t0\n";

TEST(StatusParserTest, TakesWhatADumpUses) {
  const auto status = ParseStatus(kStatus);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->name, "worker ");
  EXPECT_EQ(status->umask, 022u);
  EXPECT_EQ(status->resident, 5120u);
  EXPECT_EQ(status->anonymous, 1000u);
  EXPECT_EQ(status->resident_files, 4000u);
  EXPECT_EQ(status->resident_shared, 120u);
  EXPECT_EQ(status->swapped, 12u);
  EXPECT_EQ(status->page_tables, 160u);
  EXPECT_EQ(status->state, 'S');
  EXPECT_EQ(status->tgid, 7147);
  EXPECT_EQ(status->pid, 7149);
  EXPECT_EQ(status->ppid, 1);
  EXPECT_EQ(status->tracer_pid, 0);
  EXPECT_EQ(status->uid, (IdSet{0, 1, 2, 3}));
  EXPECT_EQ(status->gid, (IdSet{4, 5, 6, 7}));
  EXPECT_THAT(status->groups, ElementsAre(4, 24, 1000));
  EXPECT_THAT(status->ns_pids, ElementsAre(7149, 12));
  EXPECT_EQ(status->kernel_thread, false);
  EXPECT_EQ(status->threads, 2u);
  EXPECT_EQ(status->pending, 0x800u);
  EXPECT_EQ(status->shared_pending, 0x1000000000u);
  EXPECT_EQ(status->blocked, 0x1000000800u);
  EXPECT_EQ(status->ignored, 0x1000u);
  EXPECT_EQ(status->caught, 0x180000200u);
  EXPECT_EQ(status->cap_inheritable, 0u);
  EXPECT_EQ(status->cap_permitted, 0x1fffeffffffu);
  EXPECT_EQ(status->cap_effective, 0x1fffeffffffu);
  EXPECT_EQ(status->cap_bounding, 0x1fffeffffffu);
  EXPECT_EQ(status->cap_ambient, 1u);
  EXPECT_TRUE(status->no_new_privs);
  EXPECT_EQ(status->seccomp_mode, 2u);
  EXPECT_EQ(status->seccomp_filters, 3u);
}

// Linux 6.6 and later, on processors that have any.
TEST(StatusParserTest, ShadowStacksAreAmongTheFeatures) {
  for (const auto& [features, shadow_stack] :
       {std::pair("", false), {"wrss", false}, {"shstk", true}, {"shstk wrss", true}}) {
    const auto status =
        ParseStatus(absl::StrCat(kStatus, "x86_Thread_features:\t", features, "\n"));
    ASSERT_TRUE(status.ok()) << status.status();
    EXPECT_EQ(status->shadow_stack, shadow_stack) << features;
  }
}

TEST(StatusParserTest, Linux4HasFewerFields) {
  const auto status = ParseStatus(kStatus4);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->umask, 022u);
  EXPECT_EQ(status->kernel_thread, std::nullopt);
  EXPECT_THAT(status->groups, ElementsAre(16, 33, 100));
  EXPECT_EQ(status->caught, 0x4b813efbu);
  EXPECT_EQ(status->cap_bounding, ~uint64_t{0});
  EXPECT_EQ(status->seccomp_filters, 0u);
}

TEST(StatusParserTest, AZombieHasNoUmask) {
  const auto status = ParseStatus(kZombie);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->state, 'Z');
  EXPECT_EQ(status->umask, std::nullopt);
  EXPECT_THAT(status->groups, IsEmpty());
}

// Linux 3.10 has none of these.
TEST(StatusParserTest, EveryLaterFieldMayLack) {
  std::string text = kStatus;
  for (const char* key :
       {"Kthread", "Seccomp_filters", "Umask", "NoNewPrivs", "NSpid", "CapAmb", "Seccomp"}) {
    const size_t at = text.find(absl::StrCat("\n", key, ":")) + 1;
    text.erase(at, text.find('\n', at) + 1 - at);
  }
  const auto status = ParseStatus(text);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->kernel_thread, std::nullopt);
  EXPECT_EQ(status->umask, std::nullopt);
  EXPECT_FALSE(status->no_new_privs);
  EXPECT_THAT(status->ns_pids, IsEmpty());
  EXPECT_EQ(status->cap_ambient, 0u);
}

TEST(StatusParserTest, AMissingFieldIsNamed) {
  for (const char* key :
       {"Name", "State", "Tgid", "Pid", "PPid", "TracerPid", "Uid", "Gid", "Groups", "Threads",
        "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd"}) {
    const std::string text = absl::StrReplaceAll(absl::StrCat("\n", kStatus),
                                                 {{absl::StrCat("\n", key, ":"), "\nOther:"}});
    const absl::Status status = ParseStatus(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("no field ", key)));
  }
}

// kStatus with another value for one field.
BadText WithValue(const std::string& key, const std::string& value) {
  std::string text = absl::StrCat("\n", kStatus);
  const size_t at = text.find(absl::StrCat("\n", key, ":")) + 1;
  const std::string line = absl::StrCat(key, ":\t", value);
  text.replace(at, text.find('\n', at) - at, line);
  return {text.substr(1), key, absl::StrReplaceAll(line, {{"\t", "\\t"}})};
}

class BadStatusTest : public ::testing::TestWithParam<BadText> {};

TEST_P(BadStatusTest, QuotesTheLineAndNamesTheField) {
  EXPECT_THAT(ParseStatus(GetParam().text).status(), Refuses(GetParam()));
}

const BadText kBadStatusTexts[] = {
    WithValue("Umask", "0082"),
    WithValue("State", ""),
    WithValue("Tgid", "x"),
    WithValue("Pid", "2147483648"),
    WithValue("PPid", ""),
    WithValue("TracerPid", "1 2"),
    WithValue("Uid", "0\t1\t2"),
    WithValue("Uid", "0\t1\t2\t-3"),
    WithValue("Gid", "0\t1\t2\t3\t4"),
    WithValue("Groups", "4 x"),
    WithValue("Groups", "4294967296"),
    WithValue("NSpid", "7149,12"),
    WithValue("Kthread", "2"),
    WithValue("Threads", "-1"),
    WithValue("SigPnd", "g"),
    WithValue("ShdPnd", "0x1"),
    WithValue("SigBlk", "10000000000000000"),
    WithValue("SigIgn", ""),
    WithValue("SigCgt", "1 1"),
    WithValue("CapInh", "-1"),
    WithValue("CapPrm", "="),
    WithValue("CapEff", "all"),
    WithValue("CapBnd", "1,2"),
    WithValue("CapAmb", "z"),
    WithValue("NoNewPrivs", "yes"),
    WithValue("Seccomp", "filter"),
    WithValue("Seccomp_filters", "-1"),
    {std::string(kStatus) + "Groups:\t5\n", "Groups", "Groups:\\t5"},
};
INSTANTIATE_TEST_SUITE_P(Fields, BadStatusTest, ::testing::ValuesIn(kBadStatusTexts));

TEST(StatusParserTest, FindsOneValue) {
  EXPECT_EQ(StatusValue(kStatus, "Name"), "worker ");
  EXPECT_EQ(StatusValue(kStatus, "Pid"), "7149");
  EXPECT_EQ(StatusValue(kStatus, "SigPnd"), "0000000000000800");
  EXPECT_EQ(StatusValue(kStatus, "Seccomp"), "2");
  EXPECT_EQ(StatusValue(kStatus4, "Cpus_allowed"), "00000001");
  EXPECT_EQ(StatusValue(kStatus4, "Seccomp_filters"), "");
  EXPECT_EQ(StatusValue("Name:\tPid:\t1\nPid:\t2", "Pid"), "2");
}

TEST(StatusParserTest, TellsTheNameWithoutTheKernelsEscapes) {
  const auto name_of = [](std::string_view name) {
    TaskStatus status;
    status.name = std::string(name);
    return TaskName(status);
  };
  EXPECT_EQ(*name_of(""), "");
  EXPECT_EQ(*name_of("two words"), "two words");
  EXPECT_EQ(*name_of(R"(\\a\n\\n\n)"), "\\a\n\\n\n");
  for (const char* bad : {R"(\)", R"(\t)", R"(a\\\)"}) {
    EXPECT_EQ(name_of(bad).status().code(), absl::StatusCode::kDataLoss) << bad;
  }
}

// The kernel's side of it.
TEST(StatusParserTest, TellsTheNameOfThisThread) {
  char before[16];
  ASSERT_EQ(prctl(PR_GET_NAME, before), 0);
  for (const char* name : {"a\n\\n\\\n\t\r\v\f\\", "\x01\x7f\x80\xff\"'\a\b", " \t ", ""}) {
    ASSERT_EQ(prctl(PR_SET_NAME, name), 0);
    const auto text = ProcDir::OpenTask(getpid())->Read("status");
    const auto status = ParseStatus(*text);
    ASSERT_TRUE(status.ok()) << status.status();
    EXPECT_EQ(TaskName(*status).value_or("?"), name);
  }
  prctl(PR_SET_NAME, before);
}

TEST(StatusParserTest, ReadsThisTasksOwn) {
  const auto text = ProcDir::OpenTask(getpid())->Read("status");
  ASSERT_TRUE(text.ok()) << text.status();
  const auto status = ParseStatus(*text);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->pid, getpid());
  EXPECT_EQ(status->uid.effective, geteuid());
  EXPECT_EQ(status->gid.real, getgid());
}

}  // namespace
}  // namespace dumpctl
