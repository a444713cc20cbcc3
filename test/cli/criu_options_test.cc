#include "dump/cli/criu_options.h"

#include <algorithm>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// What parsing the words says; empty when they are taken.
std::string Parse(std::vector<std::string> words) {
  CLI::App app("", "dumpctl");
  CLI::App* dump = app.add_subcommand("dump");
  int tree = 0;
  dump->add_option("-t,--tree", tree)->required();
  RefuseUnservedCriuOptions(*dump);
  words.insert(words.begin(), "dump");
  std::reverse(words.begin(), words.end());  // as CLI11 wants them
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return "";
}

TEST(CriuOptionsTest, TakesWhatItDoesNotKnow) { EXPECT_EQ(Parse({"-t", "1"}), ""); }

TEST(CriuOptionsTest, EachIsRefusedByItsName) {
  for (const CriuOption& option : UnservedCriuOptions()) {
    const std::string name = "--" + std::string(option.long_name);
    EXPECT_EQ(Parse({"-t", "1", name}), RefusalOf(option));
    EXPECT_EQ(Parse({name, "-t", "1"}), RefusalOf(option));
    EXPECT_THAT(RefusalOf(option), HasSubstr(name + " is not served"));
    if (option.takes_value != TakesValue::kNo) {
      EXPECT_EQ(Parse({"-t", "1", name + "=value"}), RefusalOf(option));
    }
    if (option.takes_value == TakesValue::kYes) {
      EXPECT_EQ(Parse({"-t", "1", name, "value"}), RefusalOf(option));
    }
    if (option.short_name != 0) {
      EXPECT_EQ(Parse({"-t", "1", std::string("-") + option.short_name}), RefusalOf(option));
    }
    if (option.negatable) {
      const std::string negated = "--no-" + std::string(option.long_name);
      EXPECT_EQ(Parse({"-t", "1", negated}), negated + " is not served by this version");
    }
  }
}

TEST(CriuOptionsTest, IsRefusedBeforeWhatIsMissingIsAskedFor) {
  EXPECT_EQ(Parse({"--weak-sysctls"}), "--weak-sysctls is not served by this version");
  EXPECT_EQ(Parse({"-d"}), "-d, --restore-detached is not served by this version");
}

TEST(CriuOptionsTest, StandsInOrder) {
  const auto options = UnservedCriuOptions();
  EXPECT_TRUE(std::is_sorted(options.begin(), options.end(), [](const auto& a, const auto& b) {
    return a.long_name < b.long_name;
  }));
}

TEST(CriuOptionsTest, IsNotSeenInTheHelp) {
  CLI::App app("", "dumpctl");
  RefuseUnservedCriuOptions(app);
  for (const CriuOption& option : UnservedCriuOptions()) {
    EXPECT_THAT(app.help(), Not(HasSubstr("--" + std::string(option.long_name))));
  }
}

}  // namespace
}  // namespace dumpctl
