#include "proc/kernel_features.h"

#include <sys/utsname.h>

#include <cstdio>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using ::testing::HasSubstr;

// Major and minor number of the running kernel, as one comparable number.
int RunningKernel() {
  utsname name = {};
  uname(&name);
  int major = 0;
  int minor = 0;
  sscanf(name.release, "%d.%d", &major, &minor);
  return major * 1000 + minor;
}

TEST(KernelFeaturesTest, FindsWhatThisKernelsReleaseBrings) {
  const auto features = KernelFeatures::Probe();
  ASSERT_TRUE(features.ok()) << features.status();
  const int kernel = RunningKernel();
  constexpr std::pair<int, KernelFeature> kSince[] = {
      {6007, KernelFeature::kPagemapScan},  {6010, KernelFeature::kDupfdQuery},
      {6011, KernelFeature::kProcmapQuery}, {6015, KernelFeature::kPagemapScanGuard},
      {6015, KernelFeature::kPagemapGuard},
  };
  for (const auto& [since, feature] : kSince) {
    // Distributions do carry features back to older releases, never the other way.
    if (kernel < since) continue;
    EXPECT_TRUE(features->Has(feature)) << "of " << since;
  }
}

TEST(KernelFeaturesTest, IsForcedDownByName) {
  for (const KernelFeatures::Description& row : KernelFeatures::All()) {
    const auto all = KernelFeatures::Probe();
    const auto forced = KernelFeatures::Probe(absl::StrCat("-", std::string(row.name)));
    ASSERT_TRUE(forced.ok()) << forced.status();
    for (const KernelFeatures::Description& other : KernelFeatures::All()) {
      EXPECT_EQ(forced->Has(other.feature), other.feature != row.feature && all->Has(other.feature))
          << row.name << " forced down, " << other.name << " asked";
    }
  }
  const auto two = KernelFeatures::Probe("-pagemap_scan,-procmap_query");
  ASSERT_TRUE(two.ok()) << two.status();
  EXPECT_FALSE(two->Has(KernelFeature::kPagemapScan));
  EXPECT_FALSE(two->Has(KernelFeature::kProcmapQuery));
}

TEST(KernelFeaturesTest, LearnsNothingThatIsForcedDown) {
  const auto forced = KernelFeatures::Probe("-dupfd_query");
  ASSERT_TRUE(forced.ok()) << forced.status();
  forced->Learn({KernelFeature::kDupfdQuery, KernelFeature::kPagemapScan});
  EXPECT_FALSE(forced->Has(KernelFeature::kDupfdQuery));
  EXPECT_EQ(forced->Has(KernelFeature::kPagemapScan),
            KernelFeatures::Probe()->Has(KernelFeature::kPagemapScan));
}

TEST(KernelFeaturesTest, RefusesWhatItDoesNotKnow) {
  for (const char* bad : {"pagemap_scan", "+pagemap_scan", "-no_such", "-", ",", "-soft_dirty,,"}) {
    const absl::Status status = KernelFeatures::Probe(bad).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_THAT(std::string(KernelFeatures::Probe("-no_such").status().message()),
              HasSubstr("\"-no_such\""));
}

}  // namespace
}  // namespace dumpctl
