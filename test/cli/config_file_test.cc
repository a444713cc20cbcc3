#include "dump/cli/config_file.h"

#include "dumpctl/failure.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {

bool operator==(const ConfigLine& a, const ConfigLine& b) {
  return a.number == b.number && a.name == b.name && a.value == b.value;
}

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<ConfigLine> Parse(std::string_view text) {
  const auto lines = ParseConfig(text, "some.conf");
  EXPECT_TRUE(lines.ok()) << lines.status();
  return lines.ok() ? *lines : std::vector<ConfigLine>();
}

// Without what all say.
std::string Wrong(std::string_view text) {
  const auto lines = ParseConfig(text, "some.conf");
  if (lines.ok()) return "";
  EXPECT_EQ(FailureOf(lines.status()), Failure::kConfig);
  return std::string(lines.status().message());
}

ConfigLine Line(size_t number, std::string name, std::optional<std::string> value = {}) {
  return {.number = number, .name = std::move(name), .value = std::move(value)};
}

TEST(ConfigFileTest, TakesTheExampleOfTheManPage) {
  EXPECT_THAT(Parse("tcp-established\n"
                    "work-dir \"/home/USERNAME/criu/my \\\"work\\\" directory\"\n"
                    "#this is a comment\n"
                    "no-restore-sibling   # this is another comment\n"),
              ElementsAre(Line(1, "tcp-established"),
                          Line(2, "work-dir", "/home/USERNAME/criu/my \"work\" directory"),
                          Line(4, "no-restore-sibling")));
}

TEST(ConfigFileTest, TakesValuesAsCriuDoes) {
  EXPECT_THAT(Parse(""), IsEmpty());
  EXPECT_THAT(Parse("\n \t\n # only\n"), IsEmpty());
  EXPECT_THAT(Parse("a 1\nb\t2"), ElementsAre(Line(1, "a", "1"), Line(2, "b", "2")));
  EXPECT_THAT(Parse("a=1\r\n  b=\n"), ElementsAre(Line(1, "a", "1"), Line(2, "b", "")));
  EXPECT_THAT(Parse("a x\"y\"\nb \"\"\n"), ElementsAre(Line(1, "a", "x\"y\""), Line(2, "b", "")));
  EXPECT_THAT(Parse("a \"x\\n\\\\y\" # said\n"), ElementsAre(Line(1, "a", "x\\n\\\\y")));
  EXPECT_THAT(Parse("a \"x # y\"\n"), ElementsAre(Line(1, "a", "x # y")));
  EXPECT_THAT(Parse("a#b\n"), ElementsAre(Line(1, "a#b")));
  EXPECT_THAT(Parse("a 1#b\n"), ElementsAre(Line(1, "a", "1#b")));
}

TEST(ConfigFileTest, NamesTheLineThatIsWrong) {
  EXPECT_EQ(Wrong("a\n\n--b\n"), "some.conf:3: \"--b\": options stand without dashes here");
  EXPECT_EQ(Wrong("a \"x\n"), "some.conf:1: a quoted value without its second quote");
  EXPECT_EQ(Wrong("a \"x\\\"\n"), "some.conf:1: a quoted value without its second quote");
  EXPECT_EQ(Wrong("a \"x\"y\n"), "some.conf:1: \"y\" right behind a quoted value");
  EXPECT_EQ(Wrong("\na x y\n"),
            "some.conf:2: \"y\" behind the value of a; a value with whitespace stands in double "
            "quotes");
}

TEST(ConfigFileTest, AnErrorIsOneLine) {
  EXPECT_EQ(ConfigError("a\nb", 3, "why").message(), "a\\nb:3: why");
  EXPECT_EQ(Wrong("-\x1b\n"), "some.conf:1: \"-\\x1b\": options stand without dashes here");
}

}  // namespace
}  // namespace dumpctl
