#ifndef DUMP_CLI_DUMP_LOG_H_
#define DUMP_CLI_DUMP_LOG_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "dumpctl/log.h"

namespace dumpctl {

// A log in the field's form: seconds since the start in brackets, then the text. `path` empty: to
// the standard error output. Failure::kImagesDir when the file cannot be made.
absl::StatusOr<std::unique_ptr<Log>> OpenLog(const std::string& path, int verbosity);

}  // namespace dumpctl

#endif  // DUMP_CLI_DUMP_LOG_H_
