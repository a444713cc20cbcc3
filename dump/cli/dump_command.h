#ifndef DUMP_CLI_DUMP_COMMAND_H_
#define DUMP_CLI_DUMP_COMMAND_H_

#include <CLI/CLI.hpp>

#include "dump/cli/command.h"
#include "dump/cli/sifted_options.h"

namespace dumpctl {

// Adds `dump`, whose options are spelled as in criu(8). It takes no notice of those that it does
// not serve: see RefuseUnservedCriuOptions; and none of those that are not named.
void AddDumpCommand(CLI::App& app, CommandAction& action, OptionNames& names);
// Adds `pre-dump`, likewise.
void AddPreDumpCommand(CLI::App& app, CommandAction& action, OptionNames& names);

}  // namespace dumpctl

#endif  // DUMP_CLI_DUMP_COMMAND_H_
