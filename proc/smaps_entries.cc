#include "proc/smaps_entries.h"

#include <cstdint>
#include <optional>

#include "dumpctl/status_macros.h"
#include "proc/text_fields.h"
#include "proc/vm_flag_codes.h"

namespace dumpctl {
namespace {

constexpr std::string_view kVmFlags = "VmFlags:";

}  // namespace

absl::Status SmapsEntries::Take(std::string_view piece, Found found) {
  while (!piece.empty()) {
    const size_t end = piece.find('\n');
    if (end == std::string_view::npos) {
      line_.append(piece);
      break;
    }
    if (line_.empty()) {
      RETURN_IF_ERROR(TakeLine(piece.substr(0, end), found));
    } else {
      line_.append(piece.substr(0, end));
      RETURN_IF_ERROR(TakeLine(line_, found));
      line_.clear();
    }
    piece.remove_prefix(end + 1);
  }
  return absl::OkStatus();
}

absl::Status SmapsEntries::TakeLine(std::string_view line, Found found) {
  // Entries start with an address in lower-case hexadecimal, field names with an upper-case letter.
  const char first = line.empty() ? '\0' : line.front();
  const bool is_head = (first >= '0' && first <= '9') || (first >= 'a' && first <= 'f');
  // An entry's VmFlags are its last line: between two entries there is nothing.
  if (is_head != head_.empty()) return MalformedText("smaps", "VmFlags", is_head ? head_ : line);
  if (is_head) {
    head_ = line;
    return absl::OkStatus();
  }
  if (line.starts_with(kVmFlags)) {
    RETURN_IF_ERROR(found(head_, line.substr(kVmFlags.size())));
    head_.clear();
    return absl::OkStatus();
  }
  if (first < 'A' || first > 'Z') return MalformedText("smaps", "name", line);
  return absl::OkStatus();
}

absl::Status SmapsEntries::Finish() const {
  if (!line_.empty()) return MalformedText("smaps", "end of the line", line_);
  if (!head_.empty()) return MalformedText("smaps", "VmFlags", head_);
  return absl::OkStatus();
}

absl::StatusOr<MappingFlags> ParseMappingFlags(std::string_view head, std::string_view codes) {
  std::string_view rest = head;
  const std::optional<uint64_t> start = NumberOf<uint64_t>(TakeUntil(rest, '-'), 16);
  const std::optional<uint64_t> end = NumberOf<uint64_t>(TakeUntil(rest, ' '), 16);
  if (!start || !end || *end <= *start) return MalformedText("smaps", "addresses", head);
  const std::optional<VmFlags> flags = VmFlagsOf(codes);
  if (!flags) return MalformedText("smaps", "VmFlags", codes);
  return MappingFlags{RemoteAddress(*start), RemoteAddress(*end), *flags};
}

}  // namespace dumpctl
