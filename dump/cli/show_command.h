#ifndef DUMP_CLI_SHOW_COMMAND_H_
#define DUMP_CLI_SHOW_COMMAND_H_

#include <CLI/CLI.hpp>

#include "dump/cli/command.h"

namespace dumpctl {

// `dumpctl show [--json] IMAGE|DIR`: prints an image, or every image of a directory, on stdout. All
// or nothing: where one image is bad, nothing is printed, and the status (Failure::kBadImage) names
// it and the offset. Raw images are told by their size, and kinds that this build has no message
// for by their names; in a directory neither is an error.
void AddShowCommand(CLI::App& app, CommandAction& action);

}  // namespace dumpctl

#endif  // DUMP_CLI_SHOW_COMMAND_H_
