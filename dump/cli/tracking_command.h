#ifndef DUMP_CLI_TRACKING_COMMAND_H_
#define DUMP_CLI_TRACKING_COMMAND_H_

#include <CLI/CLI.hpp>

#include "dump/cli/command.h"

namespace dumpctl {

// `dumpctl untrack -t PID`: ends what a pre-dump or --track-mem has begun. No error where there is
// nothing to end.
void AddUntrackCommand(CLI::App& app, CommandAction& action);

// `dumpctl dedup -D DIR`: frees in the images that those in DIR build upon what is superseded.
void AddDedupCommand(CLI::App& app, CommandAction& action);

}  // namespace dumpctl

#endif  // DUMP_CLI_TRACKING_COMMAND_H_
