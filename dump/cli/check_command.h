#ifndef DUMP_CLI_CHECK_COMMAND_H_
#define DUMP_CLI_CHECK_COMMAND_H_

#include <CLI/CLI.hpp>

#include "dump/cli/command.h"

namespace dumpctl {

// `dumpctl check [--json]`: prints what this host and this caller can and cannot do. The status is
// HostStatus's.
void AddCheckCommand(CLI::App& app, CommandAction& action);

}  // namespace dumpctl

#endif  // DUMP_CLI_CHECK_COMMAND_H_
