#include "proc/fdinfo_parser.h"

#include "dumpctl/status_macros.h"
#include "proc/text_fields.h"

namespace dumpctl {
namespace {

// The next line must be "key:\tnumber".
template <typename T>
absl::StatusOr<T> TakeNumber(std::string_view& text, std::string_view key, int base = 10) {
  const std::string_view line = TakeUntil(text, '\n');
  const auto value = ValueOf(line, key);
  const auto number = value ? NumberOf<T>(*value, base) : std::nullopt;
  if (!number) return MalformedText("fdinfo", key, line);
  return *number;
}

// "eventfd-count:   7", "inotify wd:1 ino:...", "settime flags: 01". What io_uring lists below
// "Personalities:" and the like has no name of its own and is indented.
bool LooksLikeField(std::string_view line) {
  if (line.starts_with(' ') || line.starts_with('\t')) return !Strip(line).empty();
  const size_t colon = line.find(':');
  return colon != std::string_view::npos && colon > 0;
}

}  // namespace

absl::StatusOr<FdInfo> ParseFdInfo(std::string_view text) {
  FdInfo info;
  // Printed as signed, though some files have offsets beyond that.
  ASSIGN_OR_RETURN(const int64_t pos, TakeNumber<int64_t>(text, "pos"));
  info.pos = static_cast<uint64_t>(pos);
  ASSIGN_OR_RETURN(info.flags, TakeNumber<uint32_t>(text, "flags", 8));
  ASSIGN_OR_RETURN(info.mount_id, TakeNumber<int>(text, "mnt_id"));
  // Only here: a line further down with one of these keys is the descriptor type's own.
  if (text.starts_with("ino:")) {
    ASSIGN_OR_RETURN(info.ino, TakeNumber<uint64_t>(text, "ino"));
  }
  while (!text.empty()) {
    const std::string_view line = TakeUntil(text, '\n');
    if (const auto lock = ValueOf(line, "lock")) {
      if (lock->empty()) return MalformedText("fdinfo", "lock", line);
      info.locks.emplace_back(*lock);
    } else if (const auto number = ValueOf(line, "tty-index")) {
      info.terminal = NumberOf<uint32_t>(*number);
      if (!info.terminal) return MalformedText("fdinfo", "tty-index", line);
    } else if (!LooksLikeField(line)) {
      return MalformedText("fdinfo", "key", line);
    }
  }
  return info;
}

}  // namespace dumpctl
