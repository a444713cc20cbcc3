#ifndef DUMP_CLI_IMAGE_TEXT_H_
#define DUMP_CLI_IMAGE_TEXT_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace dumpctl {

// One image for people to read, in lines: a heading, then entry after entry. Entries without
// parts of their own take a line each, in columns; others a block. Addresses are in hex, modes in
// octal, flags by name, and strange bytes escaped as in C. `name` is as for ImageReader, whose
// errors these are.
absl::StatusOr<std::string> ImageText(const std::string& name, std::string_view bytes);

}  // namespace dumpctl

#endif  // DUMP_CLI_IMAGE_TEXT_H_
