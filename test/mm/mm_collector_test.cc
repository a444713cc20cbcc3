#include "dump/mm/mm_collector.h"

#include <elf.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <string>

#include "dumpctl/failure.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Bytes(const std::vector<uint64_t>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * 8);
}

TEST(AuxvTest, EndsBeforeTheTerminatingPair) {
  const auto auxv = ParseAuxv(Bytes({AT_PAGESZ, 4096, AT_ENTRY, 0x1234, AT_NULL, 0}));
  ASSERT_TRUE(auxv.ok()) << auxv.status();
  EXPECT_THAT(*auxv, ElementsAre(AT_PAGESZ, 4096u, AT_ENTRY, 0x1234u));
  EXPECT_EQ(ParseAuxv(Bytes({AT_NULL, 0, AT_NULL, 0}))->size(), 0u);
  // A value of 0 ends nothing.
  EXPECT_EQ(ParseAuxv(Bytes({AT_FLAGS, 0, AT_UID, 0, AT_NULL, 0}))->size(), 4u);
}

TEST(AuxvTest, RefusesWhatIsCutShort) {
  for (const std::string& bytes :
       {std::string(), Bytes({AT_PAGESZ, 4096}), Bytes({AT_PAGESZ, 4096, AT_NULL})}) {
    EXPECT_EQ(ParseAuxv(bytes).status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST(AuxvTest, ReadsThisTasksOwn) {
  const auto auxv = ParseAuxv(*ProcDir::OpenTask(getpid())->Read("auxv"));
  ASSERT_TRUE(auxv.ok()) << auxv.status();
  size_t found = 0;
  for (size_t i = 0; i < auxv->size(); i += 2) {
    if ((*auxv)[i] == AT_PAGESZ || (*auxv)[i] == AT_ENTRY || (*auxv)[i] == AT_RANDOM) {
      EXPECT_EQ((*auxv)[i + 1], getauxval((*auxv)[i]));
      ++found;
    }
  }
  EXPECT_EQ(found, 3u);
}

TEST(MmCollectorTest, FillsEveryField) {
  MmFacts facts;
  facts.stat.start_code = 1;
  facts.stat.end_code = 2;
  facts.stat.start_data = 3;
  facts.stat.end_data = 4;
  facts.stat.start_stack = 5;
  facts.stat.start_brk = 6;
  facts.brk = RemoteAddress(7);
  facts.stat.arg_start = 8;
  facts.stat.arg_end = 9;
  facts.stat.env_start = 10;
  facts.stat.env_end = 11;
  facts.exe_file_id = 12;
  facts.auxv = {AT_PAGESZ, 4096};
  facts.dumpable = 2;
  facts.thp_disabled = true;
  CollectedVmas vmas;
  vmas.entries.emplace_back().set_start(0x1000);
  vmas.entries.emplace_back().set_start(0x2000);
  const auto entry = MmEntryOf(facts, vmas);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->mm_start_code(), 1u);
  EXPECT_EQ(entry->mm_end_code(), 2u);
  EXPECT_EQ(entry->mm_start_data(), 3u);
  EXPECT_EQ(entry->mm_end_data(), 4u);
  EXPECT_EQ(entry->mm_start_stack(), 5u);
  EXPECT_EQ(entry->mm_start_brk(), 6u);
  EXPECT_EQ(entry->mm_brk(), 7u);
  EXPECT_EQ(entry->mm_arg_start(), 8u);
  EXPECT_EQ(entry->mm_arg_end(), 9u);
  EXPECT_EQ(entry->mm_env_start(), 10u);
  EXPECT_EQ(entry->mm_env_end(), 11u);
  EXPECT_EQ(entry->exe_file_id(), 12u);
  EXPECT_THAT(entry->mm_saved_auxv(), ElementsAre(AT_PAGESZ, 4096u));
  EXPECT_EQ(entry->dumpable(), 2);
  EXPECT_TRUE(entry->thp_disabled());
  ASSERT_EQ(entry->vmas_size(), 2);
  EXPECT_EQ(entry->vmas(1).start(), 0x2000u);
  EXPECT_EQ(entry->aios_size(), 0);
}

TEST(MmCollectorTest, SaysWhyTheLayoutIsNotKnown) {
  MmFacts facts;
  facts.stat.pid = 77;
  const absl::Status status = MmEntryOf(facts, {}).status();
  EXPECT_EQ(FailureOf(status), Failure::kPermission);
  EXPECT_THAT(std::string(status.message()), HasSubstr("task 77"));
}

}  // namespace
}  // namespace dumpctl
