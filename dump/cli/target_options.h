#ifndef DUMP_CLI_TARGET_OPTIONS_H_
#define DUMP_CLI_TARGET_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "dump/cli/sifted_options.h"
#include "dump/session/dump_options.h"

namespace dumpctl {

// The options that say which tree is meant and what of it may be dumped, spelled as in criu(8).
// `options` must outlive the command.
void AddTargetOptions(SiftedCommand& command, DumpOptions& options);

// As criu(8) has it: of an option that is given several times, the last one counts. To be called
// when the command has all its options.
void TakeTheLast(CLI::App& command);

// CLI11 takes an empty text for 0, and the greatest number for what is beyond it. This says what is
// wrong with a number, or nothing.
std::string WhyNoNumber(const std::string& text);
// The same of a process's number.
std::string WhyNoPid(const std::string& text);

// The same of a size, "1M" as criu(8) has it; and the bytes of one that is right.
std::string WhyNoSize(const std::string& text);
uint64_t SizeOf(const std::string& text);

}  // namespace dumpctl

#endif  // DUMP_CLI_TARGET_OPTIONS_H_
