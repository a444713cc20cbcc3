#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "dump/session/host_check.h"
#include "dumpctl/failure.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/cli/program.h"

namespace dumpctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t Bit(int capability) { return uint64_t{1} << capability; }

HostFacts GoodFacts() {
  HostFacts facts;
  facts.capabilities = Bit(CAP_SYS_PTRACE) | Bit(CAP_CHECKPOINT_RESTORE);
  facts.map_files = facts.foreign_tasks = facts.memfd = facts.mount_id = true;
  PtraceAbilities& can = facts.ptrace;
  can.seize = can.signal_mask = can.peek_siginfo = true;
  can.rseq_configuration = can.suspend_seccomp = can.read_memory = can.timers = can.kcmp = true;
  return facts;
}

absl::Status StatusOf(const HostFacts& facts) {
  return HostStatus(JudgeHost(facts, *KernelFeatures::Probe()));
}

void ExpectMissing(const HostFacts& facts, Failure failure, const std::string& name) {
  const absl::Status status = StatusOf(facts);
  EXPECT_EQ(FailureOf(status), failure) << name;
  EXPECT_THAT(std::string(status.message()), HasSubstr(name));
}

TEST(HostCheckTest, EitherCapabilityFindsMappedFiles) {
  HostFacts facts = GoodFacts();
  EXPECT_TRUE(StatusOf(facts).ok()) << StatusOf(facts);
  facts.capabilities = Bit(CAP_SYS_PTRACE) | Bit(CAP_SYS_ADMIN);
  EXPECT_TRUE(StatusOf(facts).ok()) << StatusOf(facts);
}

TEST(HostCheckTest, NamesWhatTheCallerLacks) {
  HostFacts facts = GoodFacts();
  facts.capabilities = Bit(CAP_SYS_PTRACE);
  ExpectMissing(facts, Failure::kPermission, "CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN");
  facts.capabilities = Bit(CAP_SYS_ADMIN);
  ExpectMissing(facts, Failure::kPermission, "CAP_SYS_PTRACE");
  facts.ptrace_scope = 1;
  ExpectMissing(facts, Failure::kPermission, "ptrace_scope 1");
  facts = GoodFacts();
  facts.map_files = false;  // as in a user namespace of its own
  ExpectMissing(facts, Failure::kPermission, "map_files");
}

TEST(HostCheckTest, NamesWhatTheKernelLacks) {
  HostFacts facts = GoodFacts();
  facts.ptrace.timers = false;
  ExpectMissing(facts, Failure::kHost, "/proc/PID/timers");
  facts = GoodFacts();
  facts.ptrace_scope = 3;
  ExpectMissing(facts, Failure::kHost, "ptrace_scope 3");
  facts = GoodFacts();
  facts.ptrace.kcmp = false;
  const auto findings = JudgeHost(facts, *KernelFeatures::Probe("-dupfd_query"));
  EXPECT_THAT(std::string(HostStatus(findings).message()), HasSubstr("kcmp"));
  facts = GoodFacts();
  facts.ptrace.seize = false;
  ExpectMissing(facts, Failure::kHost, "PTRACE_SEIZE");
}

TEST(HostCheckTest, WhatHasAFallbackIsNoFailure) {
  HostFacts facts = GoodFacts();
  facts.ptrace_scope = 2;  // CAP_SYS_PTRACE is enough
  facts.foreign_tasks = facts.ptrace.rseq_configuration = facts.ptrace.suspend_seccomp = false;
  const auto findings = JudgeHost(
      facts, *KernelFeatures::Probe("-pagemap_scan,-procmap_query,-dupfd_query,-soft_dirty"));
  EXPECT_TRUE(HostStatus(findings).ok()) << HostStatus(findings);
  const struct {
    const char* name;
    const char* fallback;
  } expected[] = {
      {"hidepid", "only this caller's tasks can be dumped; mount /proc without hidepid"},
      {"CAP_SYS_ADMIN", "tasks under seccomp are refused"},
      {"PTRACE_O_SUSPEND_SECCOMP",
       "tasks under seccomp are refused; it takes CAP_SYS_ADMIN, and no seccomp on this caller"},
      {"PTRACE_GET_RSEQ_CONFIGURATION",
       "a task that uses them loses them at a restore; it takes Linux 5.13"},
      {"dupfd_query", "kcmp(2) is asked; it takes Linux 6.10"},
      {"pagemap_scan",
       "page tables are read entry by entry, about 1 s a TiB of addresses; it takes Linux 6.7"},
  };
  for (const auto& [name, fallback] : expected) {
    const auto it =
        std::find_if(findings.begin(), findings.end(),
                     [name = name](const HostFinding& finding) { return finding.name == name; });
    ASSERT_NE(it, findings.end()) << name;
    EXPECT_EQ(it->state, HostState::kAbsent) << name;
    EXPECT_EQ(it->remedy, fallback) << name;
  }
}

class CheckCommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root can give rights up one by one";
  }
};

// Root's capabilities come back with exec, up to the bounding set.
ProgramRun RunWithout(std::initializer_list<int> capabilities, bool json = false) {
  std::vector<std::string> arguments = {"check"};
  if (json) arguments.emplace_back("--json");
  return RunDumpctl(arguments, [capabilities] {
    for (const int capability : capabilities) {
      if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) _exit(126);
    }
  });
}

TEST_F(CheckCommandTest, RootCanDump) {
  const ProgramRun run = RunWithout({});
  EXPECT_EQ(run.exit_code, 0) << run.out << run.err;
  EXPECT_THAT(run.out, HasSubstr("ok       CAP_SYS_PTRACE: "));
  EXPECT_THAT(run.out, Not(HasSubstr("missing")));
  for (const auto& feature : KernelFeatures::All()) {
    EXPECT_THAT(run.out, HasSubstr(std::string(feature.name)));
  }
}

TEST_F(CheckCommandTest, TellsTheFallbackOfWhatIsForcedDown) {
  for (const auto& feature : KernelFeatures::All()) {
    const ProgramRun run = RunDumpctl({"check"}, [&feature] {
      setenv("DUMPCTL_KERNEL_FEATURES", ("-" + std::string(feature.name)).c_str(), 1);
    });
    EXPECT_EQ(run.exit_code, 0) << run.err;
    EXPECT_THAT(run.out, HasSubstr("absent   " + std::string(feature.name) + ": " +
                                   std::string(feature.use) +
                                   " (fallback: " + std::string(feature.fallback) + "; it takes " +
                                   std::string(feature.since) + ")\n"));
  }
}

TEST_F(CheckCommandTest, NamesEachCapabilityThatIsMissing) {
  ProgramRun run = RunWithout({CAP_SYS_PTRACE});
  EXPECT_EQ(run.exit_code, static_cast<int>(Failure::kPermission));
  EXPECT_THAT(run.out, HasSubstr("missing  CAP_SYS_PTRACE: "));
  EXPECT_THAT(run.out, HasSubstr("ok       CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN: "));
  EXPECT_THAT(run.err, HasSubstr("dumpctl: a dump cannot work here for lack of: CAP_SYS_PTRACE"));

  run = RunWithout({CAP_SYS_ADMIN, CAP_CHECKPOINT_RESTORE});
  EXPECT_EQ(run.exit_code, static_cast<int>(Failure::kPermission));
  EXPECT_THAT(run.out, HasSubstr("ok       CAP_SYS_PTRACE: "));
  EXPECT_THAT(run.out, HasSubstr("missing  CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN: "));
  EXPECT_THAT(run.out, HasSubstr("missing  map_files: "));
  EXPECT_THAT(run.out, HasSubstr("absent   CAP_SYS_ADMIN: "));
  EXPECT_THAT(run.out, HasSubstr("absent   PTRACE_O_SUSPEND_SECCOMP: "));
}

TEST_F(CheckCommandTest, NobodyLacksAllOfThem) {
  const ProgramRun run = RunDumpctl({"check"}, [] {
    if (setgroups(0, nullptr) != 0 || setresuid(65534, 65534, 65534) != 0) _exit(126);
  });
  EXPECT_EQ(run.exit_code, static_cast<int>(Failure::kPermission)) << run.err;
  for (const char* name : {"CAP_SYS_PTRACE", "CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN"}) {
    EXPECT_THAT(run.out, HasSubstr("missing  " + std::string(name)));
    EXPECT_THAT(run.err, HasSubstr(name));
  }
  EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
}

TEST_F(CheckCommandTest, JsonSaysTheSame) {
  const auto report = nlohmann::json::parse(RunWithout({CAP_SYS_PTRACE}, true).out);
  EXPECT_FALSE(report["can_dump"]);
  const auto& first = report["checks"][0];
  EXPECT_EQ(first["name"], "CAP_SYS_PTRACE");
  EXPECT_EQ(first["state"], "missing");
  EXPECT_NE(first["remedy"], "");
  EXPECT_TRUE(nlohmann::json::parse(RunWithout({}, true).out)["can_dump"]);
}

}  // namespace
}  // namespace dumpctl
