#include <sys/mman.h>

#include <cstdint>

#include "dump/mm/page_scanner.h"
#include "dumpctl/kernel_abi.h"
#include "gtest/gtest.h"
#include "proc/kernel_features.h"
#include "test/mm/mapped_child.h"

namespace dumpctl {
namespace {

// So many that another thread looks along, and none.
constexpr uint64_t kManyTables = 1 << 20;
constexpr uint64_t kWide = (uint64_t{1} << 30) / kPage;

// Pages and guards throughout 1 GiB, some of them across its middle.
void* LayOut() {
  char* const base =
      Map(kWide, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
  if (base == nullptr || madvise(base, kWide * kPage, MADV_NOHUGEPAGE) != 0) return nullptr;
  for (uint64_t page = 0; page < kWide; page += 1000) base[page * kPage] = 'x';
  char* const middle = base + kWide / 2 * kPage;
  for (int64_t page = -40; page < 40; ++page) middle[page * static_cast<int64_t>(kPage)] = 'x';
  // Kernels without guards have pages there.
  madvise(middle - 8 * kPage, 16 * kPage, abi::kMadvGuardInstall);
  return base;
}

class ScanByTwoTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ScanByTwoTest, FindsWhatOneFinds) {
  const MappedChild child(LayOut);
  const auto features = KernelFeatures::Probe(GetParam());
  ASSERT_TRUE(features.ok()) << features.status();
  const VmaList vmas = child.Vmas();
  const auto by_one = ScanPages(child.Dir(), vmas, *features);
  const auto by_two = ScanPages(child.Dir(), vmas, *features, ScanOf::kTask, {}, kManyTables);
  ASSERT_TRUE(by_one.ok()) << by_one.status();
  ASSERT_TRUE(by_two.ok()) << by_two.status();
  EXPECT_GT(by_one->runs.size(), kWide / 1000);
  EXPECT_EQ(by_two->runs, by_one->runs);
  EXPECT_EQ(by_two->pages, by_one->pages);
  ASSERT_EQ(by_two->guards.has_value(), by_one->guards.has_value());
  if (!by_one->guards) return;
  ASSERT_EQ(by_two->guards->size(), by_one->guards->size());
  for (size_t i = 0; i < by_one->guards->size(); ++i) {
    EXPECT_EQ((*by_two->guards)[i].start, (*by_one->guards)[i].start);
    EXPECT_EQ((*by_two->guards)[i].end, (*by_one->guards)[i].end);
  }
}

// The shadow of AddressSanitizer takes too long without PAGEMAP_SCAN.
constexpr const char* kByTwoWays[] = {
    "",
#if !defined(__SANITIZE_ADDRESS__)
    "-pagemap_scan",
#endif
};
INSTANTIATE_TEST_SUITE_P(Ways, ScanByTwoTest, ::testing::ValuesIn(kByTwoWays));

TEST(ScanByTwoGoneTest, SaysWhenTheTaskIsGone) {
  MappedChild child(LayOut);
  const VmaList vmas = child.Vmas();
  const ProcDir dir = child.Dir();
  child.Kill();
  EXPECT_TRUE(absl::IsNotFound(
      ScanPages(dir, vmas, *KernelFeatures::Probe(), ScanOf::kTask, {}, kManyTables).status()));
}

}  // namespace
}  // namespace dumpctl
