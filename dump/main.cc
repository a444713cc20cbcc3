#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dump/cli/check_command.h"
#include "dump/cli/command.h"
#include "dump/cli/config_arguments.h"
#include "dump/cli/criu_options.h"
#include "dump/cli/dump_command.h"
#include "dump/cli/explain_command.h"
#include "dump/cli/interruption.h"
#include "dump/cli/page_server_command.h"
#include "dump/cli/show_command.h"
#include "dump/cli/tracking_command.h"
#include "dump/cli/unpack_command.h"
#include "dump/cli/verbosity.h"
#include "dumpctl/failure.h"
#include "dumpctl/printable.h"

namespace {

// Help and version are answers; all else is one line that says what was wrong.
int TellParseError(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);
  const auto commands = app.get_subcommands();
  std::string what = error.what();
  // CLI11 says of a misspelt command only that one is required.
  if (const auto unknown = app.remaining(); commands.empty() && !unknown.empty()) {
    what = "there is no command " + unknown.front();
  }
  std::cerr << "dumpctl: " << dumpctl::Printable(what) << "; see dumpctl "
            << (commands.empty() ? "" : commands.front()->get_name() + " ") << "--help\n";
  return static_cast<int>(dumpctl::Failure::kUsage);
}

int TellFailure(const absl::Status& status) {
  std::cerr << "dumpctl: " << std::string(status.message()) << "\n";
  dumpctl::EndBySignal(status);
  return static_cast<int>(dumpctl::FailureOf(status));
}

struct Command {
  std::string_view name;
  void (*add)(CLI::App& app, dumpctl::CommandAction& action);
  bool knows_unserved = false;  // those of criu(8) that are to be refused by their names
};
constexpr Command kCommands[] = {
    {"dump", dumpctl::AddDumpCommand, true}, {"pre-dump", dumpctl::AddPreDumpCommand, true},
    {"untrack", dumpctl::AddUntrackCommand}, {"dedup", dumpctl::AddDedupCommand},
    {"explain", dumpctl::AddExplainCommand}, {"check", dumpctl::AddCheckCommand},
    {"show", dumpctl::AddShowCommand},       {"page-server", dumpctl::AddPageServerCommand, true},
    {"unpack", dumpctl::AddUnpackCommand}};

// The command that is asked for is enough: the options of others are a tenth of the time that a
// dump of a small process takes.
void AddCommands(std::string_view asked, bool unserved, CLI::App& app,
                 dumpctl::CommandAction& action) {
  const auto is_asked = [asked](const Command& command) { return command.name == asked; };
  const bool known = std::any_of(std::begin(kCommands), std::end(kCommands), is_asked);
  for (const Command& command : kCommands) {
    if (known && !is_asked(command)) continue;
    command.add(app, action);
    if (!unserved || !command.knows_unserved) continue;
    dumpctl::RefuseUnservedCriuOptions(*app.get_subcommand(std::string(command.name)));
  }
}

// The exit code of who is not to act, or none.
std::optional<int> Parse(std::vector<std::string> words, dumpctl::CommandAction& action) {
  const std::string asked = words.empty() ? "" : words.front();
  // CLI11 takes them from the back.
  std::reverse(words.begin(), words.end());
  // Half of all options are there only to be refused, and to know them takes longer than all else
  // here. A command line that is understood without them names none; of any other one of them may
  // be the reason.
  for (const bool unserved : {false, true}) {
    CLI::App app("dumpctl: checkpoint a live process tree into CRIU-compatible images", "dumpctl");
    app.set_version_flag("-V,--version", DUMPCTL_VERSION);
    app.require_subcommand(1);
    AddCommands(asked, unserved, app, action);
    try {
      app.parse(std::vector<std::string>(words));
      break;
    } catch (const CLI::ParseError& error) {
      if (unserved || error.get_exit_code() == 0) return TellParseError(app, error);
    }
  }
  return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  const auto words = dumpctl::WithConfigFiles(std::vector<std::string>(argv + 1, argv + argc),
                                              dumpctl::ConfigPlaces::OfThisProcess());
  if (!words.ok()) return TellFailure(words.status());
  dumpctl::CommandAction action;
  const std::optional<int> answered = Parse(dumpctl::SpellOutVerbosity(*words), action);
  if (answered) return *answered;
  const absl::Status status = action();
  return status.ok() ? 0 : TellFailure(status);
}
