#include "proc/children_parser.h"

#include "proc/text_fields.h"

namespace dumpctl {

absl::StatusOr<std::vector<pid_t>> ParseChildren(std::string_view text) {
  std::vector<pid_t> children;
  std::string_view rest = text;
  while (!rest.empty()) {
    // A blank follows every pid, the last one too: text that ends without was cut short.
    if (rest.find(' ') == std::string_view::npos) return MalformedText("children", "end", text);
    const auto pid = NumberOf<pid_t>(TakeUntil(rest, ' '));
    if (!pid || *pid <= 0) return MalformedText("children", "pid", text);
    children.push_back(*pid);
  }
  return children;
}

}  // namespace dumpctl
