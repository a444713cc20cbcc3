#include "proc/multicast_parser.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kIgmpHead[] = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n";

TEST(MulticastParserTest, ReadsGroupsByDevice) {
  const auto groups = ParseIgmp(std::string(kIgmpHead) +
                                "1\tlo        :     1      V3\n"
                                "\t\t\t\t010000E0     1 0:00000000\t\t0\n"
                                "12\teth0      :     2      V3\n"
                                "\t\t\t\tFB0000E0     1 0:00000000\t\t0\n"
                                "\t\t\t\t010000E0     1 0:00000000\t\t0\n");
  ASSERT_TRUE(groups.ok()) << groups.status();
  EXPECT_THAT(*groups,
              ElementsAre(MulticastGroup{1, {0x010000E0}}, MulticastGroup{12, {0xFB0000E0}},
                          MulticastGroup{12, {0x010000E0}}));
  EXPECT_THAT(*ParseIgmp(kIgmpHead), IsEmpty());
}

TEST(MulticastParserTest, ReadsGroupsOfIPv6) {
  const auto groups = ParseIgmp6(
      "1    lo              ff020000000000000000000000000001     1 0000000C 0\n"
      "9    a_device        ff0200000000000000000001ff00abcd     1 00000004 0\n");
  ASSERT_TRUE(groups.ok()) << groups.status();
  EXPECT_THAT(*groups,
              ElementsAre(MulticastGroup{1, {htonl(0xff020000), 0, 0, htonl(1)}},
                          MulticastGroup{9, {htonl(0xff020000), 0, htonl(1), htonl(0xff00abcd)}}));
  EXPECT_THAT(*ParseIgmp6(""), IsEmpty());
}

TEST(MulticastParserTest, ErrorsQuoteTheLine) {
  const auto igmp = [](const std::string& line) {
    return std::string(ParseIgmp(kIgmpHead + line).status().message());
  };
  EXPECT_THAT(igmp("x\tlo\n"), HasSubstr("device is malformed in \"x\\tlo\""));
  EXPECT_THAT(igmp("\n"), HasSubstr("device"));
  EXPECT_THAT(igmp("\t\t010000E0 1\n"), HasSubstr("group"));
  EXPECT_THAT(igmp("1\tlo\n\t\tG 1\n"), HasSubstr("group"));
  const auto igmp6 = [](const std::string& line) {
    return std::string(ParseIgmp6(line).status().message());
  };
  EXPECT_THAT(igmp6("lo x\n"), HasSubstr("device"));
  EXPECT_THAT(igmp6("1 lo\n"), HasSubstr("group"));
  EXPECT_THAT(igmp6("1 lo ff02\n"), HasSubstr("group"));
  EXPECT_THAT(igmp6("1 lo ff02000000000000000000000000000g 1\n"), HasSubstr("group"));
}

TEST(MulticastParserTest, ReadsOurOwn) {
  const auto self = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(self.ok());
  const auto groups = ParseIgmp(self->Read("net/igmp").value_or(""));
  ASSERT_TRUE(groups.ok()) << groups.status();
  const auto groups6 = ParseIgmp6(self->Read("net/igmp6").value_or(""));
  ASSERT_TRUE(groups6.ok()) << groups6.status();
}

}  // namespace
}  // namespace dumpctl
