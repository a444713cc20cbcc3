#include "dump/cg/cgroup_properties.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

CgroupProperties Added(const std::string& text) {
  const auto properties = AddCgroupProperties(DefaultCgroupProperties(), text);
  EXPECT_TRUE(properties.ok()) << properties.status();
  return properties.value_or(CgroupProperties());
}

TEST(CgroupPropertiesTest, MergesAndReplaces) {
  const CgroupProperties properties = Added(
      "\"pids\":\n - \"strategy\": \"merge\"\n - \"properties\": [\"pids.peak\", \"pids.max\"]\n"
      "\"net_cls\":\n - \"strategy\": \"replace\"\n - \"properties\": [\"a\",\"b\" ]\n"
      "\"new\":\n - \"strategy\": \"merge\"\n - \"properties\": [\"c\"]\n"
      "\"cpu\":\n  -  \"strategy\":  \"replace\"\n - \"properties\": []");
  EXPECT_THAT(properties.version_1.at("pids"), ElementsAre("pids.max", "pids.peak"));
  EXPECT_THAT(properties.version_1.at("net_cls"), ElementsAre("a", "b"));
  EXPECT_THAT(properties.version_1.at("new"), ElementsAre("c"));
  EXPECT_THAT(properties.version_1.at("cpu"), IsEmpty());
  EXPECT_THAT(properties.version_1.at("net_prio"), ElementsAre("net_prio.ifpriomap"));
}

TEST(CgroupPropertiesTest, OfVersion2OnlyWhatIsAskedFor) {
  EXPECT_THAT(DefaultCgroupProperties().version_2, IsEmpty());
  const CgroupProperties properties =
      Added("\"pids\":\n - \"strategy\": \"merge\"\n - \"properties\": [\"pids.max\"]\n");
  EXPECT_THAT(properties.version_2, ElementsAre(testing::Pair("pids", ElementsAre("pids.max"))));
}

TEST(CgroupPropertiesTest, NothingChangesNothing) {
  EXPECT_EQ(Added("").version_1, DefaultCgroupProperties().version_1);
}

TEST(CgroupPropertiesTest, ErrorsQuoteTheLine) {
  const auto error = [](const std::string& text) {
    const absl::Status status = AddCgroupProperties({}, text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << text;
    return std::string(status.message());
  };
  EXPECT_THAT(error("cpu:\n"), HasSubstr("\"cpu:\""));
  EXPECT_THAT(error("\"cpu\"\n"), HasSubstr("\"CONTROLLER\":"));
  EXPECT_THAT(error("\"\":\n"), HasSubstr("CONTROLLER"));
  EXPECT_THAT(error("\"a/b\":\n"), HasSubstr("CONTROLLER"));
  const std::string head = "\"cpu\":\n";
  EXPECT_THAT(error(head), HasSubstr("\"strategy\""));
  EXPECT_THAT(error(head + " - \"strategy\": \"mix\"\n"), HasSubstr("mix"));
  EXPECT_THAT(error(head + "- \"strategy\": \"merge\"\n"), HasSubstr("strategy"));
  EXPECT_THAT(error(head + " - \"properties\": [\"x\"]\n"), HasSubstr("strategy"));
  const std::string heads = head + " - \"strategy\": \"merge\"\n";
  for (const char* list : {"", "\"x\"", "[\"x\"", "[\"x\",]", "[x]", "[\"x\" \"y\"]", "[\"../x\"]",
                           "[\"\"]", "[\"x\"] y", "[] y"}) {
    EXPECT_THAT(error(heads + " - \"properties\": " + list + "\n"), HasSubstr("properties"))
        << list;
  }
}

}  // namespace
}  // namespace dumpctl
