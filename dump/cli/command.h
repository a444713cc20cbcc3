#ifndef DUMP_CLI_COMMAND_H_
#define DUMP_CLI_COMMAND_H_

#include <functional>

#include "absl/status/status.h"

namespace dumpctl {

// What a parsed subcommand does; main runs it, logs its status once, and exits with
// FailureOf(status).
using CommandAction = std::function<absl::Status()>;

}  // namespace dumpctl

#endif  // DUMP_CLI_COMMAND_H_
