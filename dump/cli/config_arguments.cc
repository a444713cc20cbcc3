#include "dump/cli/config_arguments.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/cli/command.h"
#include "dump/cli/config_file.h"
#include "dump/cli/criu_options.h"
#include "dump/cli/dump_command.h"
#include "dump/cli/environment.h"
#include "dump/cli/explain_command.h"
#include "dump/cli/verbosity.h"
#include "dumpctl/failure.h"
#include "dumpctl/printable.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {
namespace {

constexpr std::string_view kDump = "dump";
constexpr std::string_view kPreDump = "pre-dump";
constexpr std::string_view kExplain = "explain";

absl::Status FileError(const std::string& path, std::string_view why) {
  return MakeFailure(Failure::kConfig, absl::StatusCode::kInvalidArgument,
                     absl::StrCat("configuration file ", Printable(path), ": ", std::string(why)));
}

absl::StatusOr<std::string> ReadConfig(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return FileError(path, std::strerror(errno));
  constexpr size_t kMost = 1 << 20;  // it may be a pipe without an end
  std::string text(kMost + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t more = read(file.get(), text.data() + size, text.size() - size);
    if (more < 0) return FileError(path, std::strerror(errno));
    if (more == 0) break;
    size += static_cast<size_t>(more);
  }
  if (size > kMost) return FileError(path, "it has more than a megabyte");
  text.resize(size);
  return text;
}

// What the command line itself says of configuration files.
struct Named {
  std::string file;  // the last --config
  bool no_defaults = false;
};

Named NamedBy(const std::vector<std::string>& arguments) {
  constexpr std::string_view kConfig = "--config";
  Named named;
  const auto end = std::find(arguments.begin(), arguments.end(), "--");
  for (auto it = arguments.begin(); it != end; ++it) {
    const std::string_view argument = *it;
    if (argument == kConfig && it + 1 != end) named.file = *(it + 1);
    if (argument.starts_with("--config=")) named.file = argument.substr(kConfig.size() + 1);
    if (argument == "--no-default-config") named.no_defaults = true;
  }
  return named;
}

// A default file that is missing, or below a home that is somebody else's, is none; one that
// somebody has named has to be there.
std::vector<std::string> FilesToRead(const Named& named, const ConfigPlaces& places) {
  std::vector<std::string> files;
  if (!named.no_defaults) {
    for (const std::string& path : places.defaults) {
      if (access(path.c_str(), F_OK) == 0) files.push_back(path);
    }
  }
  if (!places.from_environment.empty()) files.push_back(places.from_environment);
  if (!named.file.empty()) files.push_back(named.file);
  return files;
}

// The command lines of `dump` and of the command that is asked for, to look a line up in.
class Commands {
 public:
  explicit Commands(const std::string& command) {
    OptionNames all = OptionNames::All();
    AddDumpCommand(app_, action_, all);
    AddPreDumpCommand(app_, action_, all);
    AddExplainCommand(app_, action_, all);
    dump_ = app_.get_subcommand(std::string(kDump));
    for (const std::string_view name : {kDump, kPreDump}) {
      RefuseUnservedCriuOptions(*app_.get_subcommand(std::string(name)));
    }
    asked_ = app_.get_subcommand(command);
  }

  // Why `dump` does not take it, or nothing.
  std::string WhyNot(const ConfigLine& line) {
    const std::string option = absl::StrCat("--", line.name);
    const CLI::Option* const known = dump_->get_option_no_throw(option);
    if (known == nullptr) return absl::StrCat("there is no option ", Printable(line.name));
    if (line.value && known->get_items_expected_max() == 0) {
      return absl::StrCat(Printable(line.name), " takes no value");
    }
    try {
      auto words = SpellOutVerbosity({std::string(kDump), "--tree=1", Word(line)});
      std::reverse(words.begin(), words.end());
      app_.parse(std::move(words));
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() != 0) return Printable(error.what());
    }
    const bool of_the_line =
        line.name == "config" || line.name == "no-default-config" || line.name == "help";
    return of_the_line ? absl::StrCat(line.name, " is no option of a configuration file") : "";
  }

  bool IsAsked(const ConfigLine& line) const {
    return asked_->get_option_no_throw(absl::StrCat("--", line.name)) != nullptr;
  }

  static std::string Word(const ConfigLine& line) {
    const std::string option = absl::StrCat("--", line.name);
    return line.value ? absl::StrCat(option, "=", *line.value) : option;
  }

 private:
  CommandAction action_;
  CLI::App app_;
  CLI::App* dump_ = nullptr;
  CLI::App* asked_ = nullptr;
};

}  // namespace

ConfigPlaces ConfigPlaces::OfThisProcess() {
  ConfigPlaces places;
  places.defaults.emplace_back("/etc/dumpctl/default.conf");
  const std::string home = FromEnvironment("HOME");
  if (!home.empty()) places.defaults.push_back(absl::StrCat(home, "/.dumpctl/default.conf"));
  places.from_environment = FromEnvironment("CRIU_CONFIG_FILE");
  return places;
}

absl::StatusOr<std::vector<std::string>> WithConfigFiles(std::vector<std::string> arguments,
                                                         const ConfigPlaces& places) {
  if (arguments.empty()) return arguments;
  const std::string_view command = arguments.front();
  if (command != kDump && command != kPreDump && command != kExplain) return arguments;
  const std::vector<std::string> files = FilesToRead(NamedBy(arguments), places);
  if (files.empty()) return arguments;
  Commands commands(arguments.front());
  std::vector<std::string> all = {arguments.front()};
  for (const std::string& path : files) {
    ASSIGN_OR_RETURN(const std::string text, ReadConfig(path));
    ASSIGN_OR_RETURN(const std::vector<ConfigLine> lines, ParseConfig(text, path));
    for (const ConfigLine& line : lines) {
      const std::string why_not = commands.WhyNot(line);
      if (!why_not.empty()) return ConfigError(path, line.number, why_not);
      if (commands.IsAsked(line)) all.push_back(Commands::Word(line));
    }
  }
  all.insert(all.end(), arguments.begin() + 1, arguments.end());
  return all;
}

}  // namespace dumpctl
