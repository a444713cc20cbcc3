#ifndef DUMP_CLI_ANSWER_H_
#define DUMP_CLI_ANSWER_H_

#include <string>

#include "absl/status/status.h"

namespace dumpctl {

// Writes what was asked for to the standard output, all of it.
absl::Status WriteAnswer(const std::string& text);

}  // namespace dumpctl

#endif  // DUMP_CLI_ANSWER_H_
