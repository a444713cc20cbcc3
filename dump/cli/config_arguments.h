#ifndef DUMP_CLI_CONFIG_ARGUMENTS_H_
#define DUMP_CLI_CONFIG_ARGUMENTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace dumpctl {

// The configuration files that nobody has named on the command line.
struct ConfigPlaces {
  std::vector<std::string> defaults;  // read where they are there, unless --no-default-config
  std::string from_environment;       // read next; empty: none

  // dumpctl's own in /etc and in $HOME; and $CRIU_CONFIG_FILE.
  static ConfigPlaces OfThisProcess();
};

// A command line with the options of configuration files put before its own, in criu(8)'s order:
// the last of one option counts. Those that `dump` knows and the command does not are left out of
// it, so that one file serves both `dump` and `explain`; other commands have no configuration.
//
// Errors: Failure::kConfig for a file that cannot be read, or has in it what `dump` would not take.
absl::StatusOr<std::vector<std::string>> WithConfigFiles(std::vector<std::string> arguments,
                                                         const ConfigPlaces& places);

}  // namespace dumpctl

#endif  // DUMP_CLI_CONFIG_ARGUMENTS_H_
