#ifndef DUMP_CLI_CRIU_OPTIONS_H_
#define DUMP_CLI_CRIU_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace dumpctl {

enum class TakesValue : uint8_t {
  kNo,
  kOptional,  // "--cpu-cap" or "--cpu-cap=fpu"
  kYes,
};

// An option of criu(8) that this build does not serve. criu takes every option with every command,
// so the table holds those of its restore as well; --help and --version are not in it.
struct CriuOption {
  std::string_view long_name;  // without the dashes
  char short_name = 0;         // 0 when it has none
  TakesValue takes_value = TakesValue::kNo;
  bool negatable = false;        // criu also takes "--no-" and the name
  std::string_view remedy = {};  // empty: there is none to tell
};

// In alphabetical order of their long names. Source: criu(8) of 3.17 and 4.1, and what `criu` 4.1.1
// itself says of each when it is given with a value, without one, or as an ambiguous prefix.
std::span<const CriuOption> UnservedCriuOptions();

// "-l, --file-locks is not served by this version".
std::string RefusalOf(const CriuOption& option);

// Teaches `command` to know those options, unseen in its help, so that each is refused by its name:
// parsing throws CLI::ValidationError with RefusalOf's text.
void RefuseUnservedCriuOptions(CLI::App& command);

}  // namespace dumpctl

#endif  // DUMP_CLI_CRIU_OPTIONS_H_
