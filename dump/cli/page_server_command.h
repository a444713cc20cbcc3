#ifndef DUMP_CLI_PAGE_SERVER_COMMAND_H_
#define DUMP_CLI_PAGE_SERVER_COMMAND_H_

#include <CLI/CLI.hpp>

#include "dump/cli/command.h"

namespace dumpctl {

// Adds `page-server`, which keeps the memory that one dump elsewhere sends. Spelled as in criu(8).
void AddPageServerCommand(CLI::App& app, CommandAction& action);

}  // namespace dumpctl

#endif  // DUMP_CLI_PAGE_SERVER_COMMAND_H_
