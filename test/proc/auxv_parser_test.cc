#include "proc/auxv_parser.h"

#include <elf.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <string>
#include <vector>

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
  EXPECT_THAT(std::string(ParseAuxv(Bytes({AT_PAGESZ, 4096, AT_NULL})).status().message()),
              HasSubstr("1 pairs ends without AT_NULL, with 8 bytes left over"));
}

// Linux 5.10 and 4.19 have no AT_RSEQ_* (6.3) and AT_MINSIGSTKSZ (5.14 on x86); 6.18 leaves spare
// zeros behind the end.
TEST(AuxvTest, KernelsDifferInKeysAlone) {
  for (const std::vector<uint64_t>& newer :
       {std::vector<uint64_t>{}, {51, 3632}, {51, 3632, 27, 28, 28, 32}}) {
    std::vector<uint64_t> pairs = {AT_SYSINFO_EHDR, 0x7ffd000, AT_HWCAP, 0xf8bfbff, AT_CLKTCK, 100};
    pairs.insert(pairs.end(), newer.begin(), newer.end());
    std::vector<uint64_t> text = pairs;
    text.resize(text.size() + 10);
    const auto auxv = ParseAuxv(Bytes(text));
    ASSERT_TRUE(auxv.ok()) << auxv.status();
    EXPECT_EQ(*auxv, pairs);
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

}  // namespace
}  // namespace dumpctl
