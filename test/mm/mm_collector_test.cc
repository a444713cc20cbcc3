#include "dump/mm/mm_collector.h"

#include <elf.h>

#include <string>

#include "dump/mm/vma_status.h"
#include "dumpctl/failure.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

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
  vmas.entries.Add()->set_start(0x1000);
  vmas.entries.Add()->set_start(0x2000);
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

TEST(MmCollectorTest, RingsStandForContexts) {
  MmFacts facts;
  facts.stat.start_stack = facts.stat.end_code = 1;
  CollectedVmas vmas;
  for (const uint64_t pages : {1, 2}) {
    image::vma_entry& vma = *vmas.entries.Add();
    vma.set_start(0x10000 * pages);
    vma.set_end(vma.start() + 4096 * pages);
    vma.set_status(kVmaAioRing);
  }
  const auto entry = MmEntryOf(facts, vmas);
  ASSERT_TRUE(entry.ok()) << entry.status();
  ASSERT_EQ(entry->aios_size(), 2);
  EXPECT_EQ(entry->aios(0).ShortDebugString(), "id: 65536 nr_req: 62 ring_len: 4096");
  EXPECT_EQ(entry->aios(1).ShortDebugString(), "id: 131072 nr_req: 126 ring_len: 8192");
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
