#ifndef DUMP_CLI_CONFIG_FILE_H_
#define DUMP_CLI_CONFIG_FILE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dumpctl {

// An option in a configuration file: "work-dir /tmp".
struct ConfigLine {
  size_t number = 0;  // from 1 on
  std::string name;   // without the dashes
  std::optional<std::string> value;
};

// The options in a configuration file's `text`, in the form of criu(8), CONFIGURATION FILES: an
// option a line, '#' before comments, a value behind whitespace or '='. A value in double quotes
// may have whitespace in it, and a double quote behind a backslash; any other backslash is one.
//
// criu leaves out what is behind a value; here it is an error, as all else is that it would not
// take. Errors: ConfigError, which names `path` and the line.
absl::StatusOr<std::vector<ConfigLine>> ParseConfig(std::string_view text, std::string_view path);

// "PATH:LINE: what", as Failure::kConfig.
absl::Status ConfigError(std::string_view path, size_t line, std::string_view what);

}  // namespace dumpctl

#endif  // DUMP_CLI_CONFIG_FILE_H_
