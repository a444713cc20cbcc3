#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "dump/cli/check_command.h"
#include "dump/cli/command.h"
#include "dump/cli/config_arguments.h"
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
};
constexpr Command kCommands[] = {
    {"dump", dumpctl::AddDumpCommand},       {"pre-dump", dumpctl::AddPreDumpCommand},
    {"untrack", dumpctl::AddUntrackCommand}, {"dedup", dumpctl::AddDedupCommand},
    {"explain", dumpctl::AddExplainCommand}, {"check", dumpctl::AddCheckCommand},
    {"show", dumpctl::AddShowCommand},       {"page-server", dumpctl::AddPageServerCommand},
    {"unpack", dumpctl::AddUnpackCommand}};

// That which is asked for comes first, and the options of others are a tenth of the time that a
// dump of a small process takes.
void AddCommands(std::string_view asked, CLI::App& app, dumpctl::CommandAction& action) {
  const auto* const known =
      std::find_if(std::begin(kCommands), std::end(kCommands),
                   [asked](const Command& command) { return command.name == asked; });
  if (known != std::end(kCommands)) return known->add(app, action);
  for (const Command& command : kCommands) command.add(app, action);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("dumpctl: checkpoint a live process tree into CRIU-compatible images", "dumpctl");
  app.set_version_flag("-V,--version", DUMPCTL_VERSION);
  app.require_subcommand(1);
  dumpctl::CommandAction action;
  AddCommands(argc > 1 ? argv[1] : "", app, action);
  const auto words = dumpctl::WithConfigFiles(std::vector<std::string>(argv + 1, argv + argc),
                                              dumpctl::ConfigPlaces::OfThisProcess());
  if (!words.ok()) return TellFailure(words.status());
  try {
    auto arguments = dumpctl::SpellOutVerbosity(*words);
    // CLI11 takes them from the back.
    std::reverse(arguments.begin(), arguments.end());
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    return TellParseError(app, error);
  }
  const absl::Status status = action();
  return status.ok() ? 0 : TellFailure(status);
}
