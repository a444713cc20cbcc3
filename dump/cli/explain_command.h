#ifndef DUMP_CLI_EXPLAIN_COMMAND_H_
#define DUMP_CLI_EXPLAIN_COMMAND_H_

#include <CLI/CLI.hpp>

#include "dump/cli/command.h"
#include "dump/cli/sifted_options.h"

namespace dumpctl {

// "dumpctl explain": what a dump would find, write and refuse, without freezing anything. It ends
// as the dump would: Failure::kRefused where something stands in its way.
void AddExplainCommand(CLI::App& app, CommandAction& action, OptionNames& names);

}  // namespace dumpctl

#endif  // DUMP_CLI_EXPLAIN_COMMAND_H_
