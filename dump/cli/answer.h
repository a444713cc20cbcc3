#ifndef DUMP_CLI_ANSWER_H_
#define DUMP_CLI_ANSWER_H_

#include <cstdio>
#include <string>

#include "absl/status/status.h"

namespace dumpctl {

// Writes what was asked for to the standard output, all of it. Where nobody reads that any more,
// the status has us end by SIGPIPE (interruption.h), as who is asked for nothing else does.
absl::Status WriteAnswer(const std::string& text);
// The same to another stream.
absl::Status WriteAnswer(const std::string& text, std::FILE* to);

}  // namespace dumpctl

#endif  // DUMP_CLI_ANSWER_H_
