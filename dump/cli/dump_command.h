#ifndef DUMP_CLI_DUMP_COMMAND_H_
#define DUMP_CLI_DUMP_COMMAND_H_

#include <CLI/CLI.hpp>

#include "dump/cli/command.h"

namespace dumpctl {

// Adds `dump`, whose options are spelled as in criu(8).
void AddDumpCommand(CLI::App& app, CommandAction& action);
// Adds `pre-dump`.
void AddPreDumpCommand(CLI::App& app, CommandAction& action);

}  // namespace dumpctl

#endif  // DUMP_CLI_DUMP_COMMAND_H_
