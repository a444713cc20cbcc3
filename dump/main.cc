#include <fcntl.h>
#include <signal.h>

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
#include "dump/cli/sifted_options.h"
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
  // Who reads no further wants no words either.
  if (dumpctl::SignalOf(status) == SIGPIPE) dumpctl::EndBySignal(status);
  std::cerr << "dumpctl: " << std::string(status.message()) << "\n";
  dumpctl::EndBySignal(status);
  return static_cast<int>(dumpctl::FailureOf(status));
}

struct Command {
  std::string_view name;
  void (*add)(CLI::App& app, dumpctl::CommandAction& action, dumpctl::OptionNames& names);
  bool knows_unserved = false;  // those of criu(8) that are to be refused by their names
};

// One that has few options is told of all.
template <void (*kAdd)(CLI::App& app, dumpctl::CommandAction& action)>
void AddWhole(CLI::App& app, dumpctl::CommandAction& action, dumpctl::OptionNames&) {
  kAdd(app, action);
}

constexpr Command kCommands[] = {{"dump", dumpctl::AddDumpCommand, true},
                                 {"pre-dump", dumpctl::AddPreDumpCommand, true},
                                 {"untrack", AddWhole<dumpctl::AddUntrackCommand>},
                                 {"dedup", AddWhole<dumpctl::AddDedupCommand>},
                                 {"explain", dumpctl::AddExplainCommand},
                                 {"check", AddWhole<dumpctl::AddCheckCommand>},
                                 {"show", AddWhole<dumpctl::AddShowCommand>},
                                 {"page-server", AddWhole<dumpctl::AddPageServerCommand>, true},
                                 {"unpack", AddWhole<dumpctl::AddUnpackCommand>}};

// The command that is asked for is enough: the options of others are a tenth of the time that a
// dump of a small process takes.
void AddCommands(std::string_view asked, bool unserved, CLI::App& app,
                 dumpctl::CommandAction& action, dumpctl::OptionNames& names) {
  const auto is_asked = [asked](const Command& command) { return command.name == asked; };
  const bool known = std::any_of(std::begin(kCommands), std::end(kCommands), is_asked);
  for (const Command& command : kCommands) {
    if (known && !is_asked(command)) continue;
    command.add(app, action, names);
    if (!unserved || !command.knows_unserved) continue;
    dumpctl::RefuseUnservedCriuOptions(*app.get_subcommand(std::string(command.name)));
  }
}

// The exit code of who is not to act, or none.
std::optional<int> Parse(std::vector<std::string> words, dumpctl::CommandAction& action) {
  const std::string asked = words.empty() ? "" : words.front();
  // CLI11 takes them from the back.
  std::reverse(words.begin(), words.end());
  // To know all options takes longer than all else here, and half of them are there only to be
  // refused. A command line that is understood by those that it names needs no other; help tells of
  // all that are served; and of any other line one that is not may be the reason.
  enum class Known { kNamed, kServed, kAll };
  for (const Known known : {Known::kNamed, Known::kServed, Known::kAll}) {
    dumpctl::OptionNames names =
        known == Known::kNamed ? dumpctl::OptionNames::In(words) : dumpctl::OptionNames::All();
    CLI::App app("dumpctl: checkpoint a live process tree into CRIU-compatible images", "dumpctl");
    app.set_version_flag("-V,--version", DUMPCTL_VERSION);
    app.require_subcommand(1);
    AddCommands(asked, known == Known::kAll, app, action, names);
    if (names.missed()) continue;
    try {
      app.parse(std::vector<std::string>(words));
      break;
    } catch (const CLI::ParseError& error) {
      const bool answer = error.get_exit_code() == 0;
      if (known == Known::kAll || (known == Known::kServed && answer)) {
        return TellParseError(app, error);
      }
    }
  }
  return std::nullopt;
}

// Or what is opened next would be taken for them: an image, into which somebody writes a line.
void FillStandardDescriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", O_RDWR);
  }
}

}  // namespace

int main(int argc, char** argv) {
  FillStandardDescriptors();
  dumpctl::HearOfFailedWrites();
  const auto words = dumpctl::WithConfigFiles(std::vector<std::string>(argv + 1, argv + argc),
                                              dumpctl::ConfigPlaces::OfThisProcess());
  if (!words.ok()) return TellFailure(words.status());
  dumpctl::CommandAction action;
  const std::optional<int> answered = Parse(dumpctl::SpellOutVerbosity(*words), action);
  if (answered) return *answered;
  const absl::Status status = action();
  return status.ok() ? 0 : TellFailure(status);
}
