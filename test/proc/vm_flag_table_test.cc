#include "proc/vm_flag_table.h"

#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using ::testing::HasSubstr;
using F = VmFlag;

// As Linux 6.18 keeps and prints them.
const std::vector<VmFlagSample> kSamples = {
    {0x70, " mr mw me "},
    {0x73 | 0x100000, " rd wr mr mw me ac "},
    {0x75, " rd ex mr mw me "},
    {0x73 | 0x102000, " rd wr mr mw me lo ac "},
    {0x73 | 0x300000, " rd wr mr mw me ac nr "},
};

TEST(VmFlagTableTest, TranslatesWhatItHasSeen) {
  const auto table = VmFlagTable::Learn(kSamples);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->Translate(0), VmFlags());
  EXPECT_EQ(table->Translate(0x1), VmFlags{F::kRead});
  // A combination that no sample had.
  EXPECT_EQ(table->Translate(0x302004),
            (VmFlags{F::kExec, F::kLocked, F::kAccount, F::kNoReserve}));
}

TEST(VmFlagTableTest, SaysWhichFlagsItKnows) {
  const auto table = VmFlagTable::Learn(kSamples);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_TRUE(table->Knows(F::kRead));
  EXPECT_TRUE(table->Knows(F::kNoReserve));
  EXPECT_FALSE(table->Knows(F::kUffdWriteProtect));
  EXPECT_FALSE(VmFlagTable::Learn({})->Knows(F::kRead));
  // As plain numbers, too.
  EXPECT_TRUE(VmFlagTable(table->plain()).Knows(F::kLocked));
  EXPECT_EQ(VmFlagTable(table->plain()).Translate(0x302004), table->Translate(0x302004));
}

TEST(VmFlagTableTest, DoesNotGuessAtOthers) {
  const auto table = VmFlagTable::Learn(kSamples);
  ASSERT_TRUE(table.ok()) << table.status();
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t mask = uint64_t{1} << bit;
    uint64_t seen = 0;
    for (const VmFlagSample& sample : kSamples) seen |= sample.bits;
    EXPECT_EQ(table->Translate(mask).has_value(), (seen & mask) != 0) << bit;
    if ((seen & mask) == 0) {
      EXPECT_EQ(table->Translate(0x73 | mask), std::nullopt) << bit;
    }
  }
  EXPECT_EQ(VmFlagTable::Learn({})->Translate(1), std::nullopt);
}

TEST(VmFlagTableTest, ACodeThisVersionDoesNotKnowIsKnownToBeNone) {
  const std::vector<VmFlagSample> samples = {{0x1, "rd"}, {0x100000001, "rd zz"}, {0x3, "rd ??"}};
  const auto table = VmFlagTable::Learn(samples);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->Translate(0x100000003), (VmFlags{F::kRead, F::kOther}));
}

// The four bits of a protection key have no code.
TEST(VmFlagTableTest, BitsWithoutACodeTeachNothing) {
  std::vector<VmFlagSample> samples = kSamples;
  samples.push_back({0x100000073 | 0x100000, "rd wr mr mw me ac"});
  const auto table = VmFlagTable::Learn(samples);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->Translate(0x100000073), std::nullopt);
  EXPECT_EQ(table->Translate(0x73),
            (VmFlags{F::kRead, F::kWrite, F::kMayRead, F::kMayWrite, F::kMayExec}));
}

TEST(VmFlagTableTest, RefusesContradictions) {
  const std::vector<std::vector<VmFlagSample>> kContradictions = {
      // One bit, two codes.
      {{0x1, "rd"}, {0x1, "wr"}},
      // Another order than that of the bits.
      {{0x1, "rd"}, {0x2, "wr"}, {0x3, "wr rd"}},
      // A code without its bit, and a bit without its code.
      {{0x1, "rd"}, {0x0, "rd"}},
      {{0x1, "rd"}, {0x11, "mr"}},
      {{0x1, "rd"}, {0x31, "mr"}},
      // One code, two bits.
      {{0x1, "rd"}, {0x2, "rd"}},
  };
  for (const auto& samples : kContradictions) {
    const absl::Status status = VmFlagTable::Learn(samples).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << samples.back().codes;
  }
  const absl::Status malformed = VmFlagTable::Learn(std::vector<VmFlagSample>{{1, "rdx"}}).status();
  EXPECT_EQ(malformed.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(malformed.message()), HasSubstr("\"rdx\""));
}

}  // namespace
}  // namespace dumpctl
