#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "dump/cli/check_command.h"
#include "dump/cli/command.h"
#include "dump/cli/config_arguments.h"
#include "dump/cli/dump_command.h"
#include "dump/cli/explain_command.h"
#include "dump/cli/interruption.h"
#include "dump/cli/show_command.h"
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

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("dumpctl: checkpoint a live process tree into CRIU-compatible images", "dumpctl");
  app.set_version_flag("-V,--version", DUMPCTL_VERSION);
  app.require_subcommand(1);
  dumpctl::CommandAction action;
  dumpctl::AddDumpCommand(app, action);
  dumpctl::AddExplainCommand(app, action);
  dumpctl::AddCheckCommand(app, action);
  dumpctl::AddShowCommand(app, action);
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
