#ifndef DUMP_CLI_UNPACK_COMMAND_H_
#define DUMP_CLI_UNPACK_COMMAND_H_

#include <CLI/CLI.hpp>

#include "dump/cli/command.h"

namespace dumpctl {

// Adds `unpack`, which makes a directory of images of what `dump --output` has written.
void AddUnpackCommand(CLI::App& app, CommandAction& action);

}  // namespace dumpctl

#endif  // DUMP_CLI_UNPACK_COMMAND_H_
