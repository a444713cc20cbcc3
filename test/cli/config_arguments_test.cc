#include "dump/cli/config_arguments.h"

#include <unistd.h>

#include <cstdlib>

#include "dumpctl/failure.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

class ConfigArgumentsTest : public ::testing::Test {
 protected:
  // Its path.
  std::string File(const std::string& name, const std::string& text) {
    return place_.Write(name, text);
  }

  std::vector<std::string> With(std::vector<std::string> arguments) {
    const auto all = WithConfigFiles(std::move(arguments), places_);
    EXPECT_TRUE(all.ok()) << all.status();
    return all.ok() ? *all : std::vector<std::string>();
  }

  std::string Wrong(const std::string& text) {
    const std::string path = File("wrong.conf", text);
    const auto all = WithConfigFiles({"dump", "--config", path}, places_);
    EXPECT_EQ(FailureOf(all.status()), Failure::kConfig);
    const std::string message(all.status().message());
    EXPECT_EQ(message.find(path + ":"), 0) << message;
    return message.substr(std::min(message.size(), path.size() + 1));
  }

  ConfigPlaces places_;
  const TemporaryDirectory place_;
};

TEST_F(ConfigArgumentsTest, LeavesACommandLineWithoutFiles) {
  places_.defaults = {place_.Path("is/not/there.conf"), File("file", "") + "/below"};
  EXPECT_THAT(With({"dump", "-t", "1"}), ElementsAre("dump", "-t", "1"));
  EXPECT_THAT(With({}), ElementsAre());
}

TEST_F(ConfigArgumentsTest, PutsAllInTheOrderOfCriu) {
  places_.defaults = {File("etc", "timeout 1\n"), File("home", "timeout 2\n")};
  places_.from_environment = File("environment", "timeout 3\n");
  const std::string named = File("named", "timeout 4\n");
  EXPECT_THAT(With({"dump", "--timeout", "5", "--config", named}),
              ElementsAre("dump", "--timeout=1", "--timeout=2", "--timeout=3", "--timeout=4",
                          "--timeout", "5", "--config", named));
  EXPECT_THAT(With({"dump", "--config=" + named, "--no-default-config"}),
              ElementsAre("dump", "--timeout=3", "--timeout=4", "--config=" + named,
                          "--no-default-config"));
}

TEST_F(ConfigArgumentsTest, TakesTheLastThatIsNamed) {
  const std::string first = File("first", "timeout 1\n");
  const std::string last = File("last", "timeout 2\n");
  EXPECT_THAT(With({"dump", "--config", first, "--config", last}),
              ElementsAre("dump", "--timeout=2", "--config", first, "--config", last));
}

TEST_F(ConfigArgumentsTest, ServesExplainWithWhatItKnows) {
  places_.from_environment = File("file", "leave-running\nshell-job\nno-tcp-established\n");
  EXPECT_THAT(With({"explain", "-t", "1"}),
              ElementsAre("explain", "--shell-job", "--no-tcp-established", "-t", "1"));
  EXPECT_THAT(With({"show", "."}), ElementsAre("show", "."));
}

TEST_F(ConfigArgumentsTest, NamesWhatDumpWouldNotTake) {
  EXPECT_EQ(Wrong("shell-job\nno-such\n"), "2: there is no option no-such");
  EXPECT_EQ(Wrong("restore-sibling\n"), "1: -S, --restore-sibling is not served by this version");
  EXPECT_EQ(Wrong("shell-job yes\n"), "1: shell-job takes no value");
  EXPECT_EQ(Wrong("no-shell-job=1\n"), "1: no-shell-job takes no value");
  EXPECT_THAT(Wrong("\n\nwork-dir # none\n"), HasSubstr("3: --work-dir"));
  EXPECT_THAT(Wrong("timeout soon\n"), HasSubstr("1: --timeout: \"soon\" is not a number"));
  EXPECT_EQ(Wrong("config other\n"), "1: config is no option of a configuration file");
  EXPECT_EQ(Wrong("no-default-config\n"),
            "1: no-default-config is no option of a configuration file");
  EXPECT_EQ(Wrong("help\n"), "1: help is no option of a configuration file");
  EXPECT_EQ(Wrong("t 1\n"), "1: there is no option t");
}

TEST_F(ConfigArgumentsTest, TakesALevelOfTheLogInEachForm) {
  places_.from_environment = File("file", "verbosity\nverbosity=4\nverbosity 3\n");
  EXPECT_THAT(With({"dump"}), ElementsAre("dump", "--verbosity", "--verbosity=4", "--verbosity=3"));
}

TEST_F(ConfigArgumentsTest, MissesAFileThatSomebodyHasNamed) {
  for (const char* const path : {"/no/such.conf", "/"}) {
    const auto named = WithConfigFiles({"dump", "--config", path}, places_);
    EXPECT_EQ(FailureOf(named.status()), Failure::kConfig);
    EXPECT_THAT(std::string(named.status().message()),
                HasSubstr(std::string("configuration file ") + path + ": "));
    const auto environment = WithConfigFiles({"dump"}, {.defaults = {}, .from_environment = path});
    EXPECT_EQ(FailureOf(environment.status()), Failure::kConfig);
  }
}

TEST_F(ConfigArgumentsTest, EndsAtAMegabyte) {
  places_.from_environment = "/dev/zero";
  const auto all = WithConfigFiles({"dump"}, places_);
  EXPECT_EQ(FailureOf(all.status()), Failure::kConfig);
  EXPECT_THAT(std::string(all.status().message()), EndsWith("it has more than a megabyte"));
}

TEST_F(ConfigArgumentsTest, KnowsItsPlaces) {
  setenv("HOME", "/home/somebody", 1);
  setenv("CRIU_CONFIG_FILE", "x.conf", 1);
  const ConfigPlaces places = ConfigPlaces::OfThisProcess();
  EXPECT_THAT(places.defaults,
              ElementsAre("/etc/dumpctl/default.conf", "/home/somebody/.dumpctl/default.conf"));
  EXPECT_EQ(places.from_environment, "x.conf");
  unsetenv("HOME");
  unsetenv("CRIU_CONFIG_FILE");
  EXPECT_THAT(ConfigPlaces::OfThisProcess().defaults, ElementsAre("/etc/dumpctl/default.conf"));
  EXPECT_EQ(ConfigPlaces::OfThisProcess().from_environment, "");
}

}  // namespace
}  // namespace dumpctl
