#include "dump/cg/cgroup_dirs.h"

#include <string>

#include "dump/cg/cgroup_sets.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

constexpr char kOwn[] = "3:cpu,cpuacct:/\n2:name=systemd:/me\n0::/me\n";

CgroupSets SetsOf(std::vector<std::string> controllers, const std::vector<std::string>& texts) {
  auto sets = CgroupSets::Create(kOwn, std::move(controllers));
  EXPECT_TRUE(sets.ok()) << sets.status();
  for (const std::string& text : texts) EXPECT_TRUE(sets->NumberOf(text).ok());
  return *std::move(sets);
}

TEST(CgroupSetsTest, NumbersWhatIsNotTheDumpers) {
  CgroupSets sets = SetsOf({}, {});
  EXPECT_EQ(sets.NumberOf(kOwn).value_or(0), kDumpersCgroups);
  EXPECT_THAT(sets.sets(), IsEmpty());
  const std::string other = "3:cpu,cpuacct:/a\n2:name=systemd:/me\n0::/me\n";
  EXPECT_EQ(sets.NumberOf(other).value_or(0), 2u);
  EXPECT_EQ(sets.NumberOf("3:cpu,cpuacct:/b\n2:name=systemd:/me\n0::/me\n").value_or(0), 3u);
  EXPECT_EQ(sets.NumberOf(other).value_or(0), 2u);
  // In another order it is the same.
  EXPECT_EQ(sets.NumberOf("0::/me\n3:cpu,cpuacct:/a\n2:name=systemd:/me\n").value_or(0), 2u);
  EXPECT_THAT(sets.sets(), SizeIs(2));
  const image::cg_set_entry entry = CgroupSetEntry(2, sets.sets().at(2));
  EXPECT_EQ(entry.ShortDebugString(),
            "id: 2 ctls { name: \"\" path: \"/me\" } ctls { name: \"cpu,cpuacct\" path: \"/a\" } "
            "ctls { name: \"name=systemd\" path: \"/me\" }");
  EXPECT_EQ(sets.NumberOf("x").status().code(), absl::StatusCode::kDataLoss);
}

TEST(CgroupSetsTest, PayHeedToSomeControllersAlone) {
  CgroupSets sets = SetsOf({"cpuacct"}, {});
  EXPECT_EQ(sets.NumberOf("3:cpu,cpuacct:/\n2:name=systemd:/x\n0::/y\n").value_or(0),
            kDumpersCgroups);
  EXPECT_EQ(sets.NumberOf("3:cpu,cpuacct:/x\n0::/y\n").value_or(0), 2u);
  EXPECT_THAT(sets.sets().at(2), ElementsAre(Pair("cpu,cpuacct", "/x")));
}

TEST(CgroupsToSaveTest, NoneLiesBelowAnother) {
  const CgroupSets sets =
      SetsOf({}, {"3:cpu,cpuacct:/a/b\n0::/a/b\n", "3:cpu,cpuacct:/a\n0::/a-b\n",
                  "3:cpu,cpuacct:/a/c\n0::/a/b/c\n"});
  EXPECT_THAT(CgroupsToSave(sets, {}), ElementsAre(Pair("", ElementsAre("/a-b", "/a/b")),
                                                   Pair("cpu,cpuacct", ElementsAre("/a"))));
}

TEST(CgroupsToSaveTest, ARootComesFirst) {
  const CgroupSets sets = SetsOf({}, {"3:cpu,cpuacct:/a/b\n0::/x/y\n"});
  CgroupOptions options;
  options.roots = {{"cpu", "/a"}, {"", "/x"}};
  EXPECT_THAT(CgroupsToSave(sets, options),
              ElementsAre(Pair("", ElementsAre("/x")), Pair("cpu,cpuacct", ElementsAre("/a"))));
  // Who is elsewhere keeps his own.
  options.roots = {{"", "/c"}};
  EXPECT_THAT(CgroupsToSave(sets, options),
              ElementsAre(Pair("", ElementsAre("/c", "/x/y")),
                          Pair("cpu,cpuacct", ElementsAre("/a/b", "/c"))));
}

TEST(RefuseCgroupsTest, NamesWhatItCannotLookAt) {
  const CgroupSets sets = SetsOf({}, {"3:nothing:/a\n0::/../x\n"});
  const auto refusals = RefuseCgroups(sets, {});
  ASSERT_TRUE(refusals.ok()) << refusals.status();
  ASSERT_THAT(*refusals, SizeIs(2));
  EXPECT_EQ((*refusals)[0].resource, "cgroup :/../x");
  EXPECT_THAT((*refusals)[0].why, testing::HasSubstr("outside"));
  EXPECT_EQ((*refusals)[1].resource, "cgroup nothing:/a");
  EXPECT_THAT((*refusals)[1].remedy, testing::HasSubstr("--cgroup-yard"));
  CgroupOptions options;
  options.ignore = true;
  EXPECT_THAT(*RefuseCgroups(sets, options), IsEmpty());
}

}  // namespace
}  // namespace dumpctl
