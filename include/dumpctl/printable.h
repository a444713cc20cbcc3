#ifndef DUMPCTL_PRINTABLE_H_
#define DUMPCTL_PRINTABLE_H_

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace dumpctl {

// A text of a target (its name, a path) for a line that people read: control characters, which a
// terminal would obey and which would break the line, become "\n" or "\x1b". All else stays.
inline std::string Printable(std::string_view text) {
  std::string printable;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      printable += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppend(&printable, "\\x", absl::Hex(byte, absl::kZeroPad2));
    } else {
      printable += c;
    }
  }
  return printable;
}

}  // namespace dumpctl

#endif  // DUMPCTL_PRINTABLE_H_
