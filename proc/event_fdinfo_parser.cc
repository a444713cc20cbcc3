#include "proc/event_fdinfo_parser.h"

#include "dumpctl/status_macros.h"
#include "proc/text_fields.h"

namespace dumpctl {
namespace {

// The first line "key:value"; nothing without one.
std::optional<std::string_view> LineOf(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = TakeUntil(text, '\n');
    if (ValueOf(line, key)) return line;
  }
  return std::nullopt;
}

template <typename T>
absl::StatusOr<T> NumberAt(std::string_view text, std::string_view key, int base = 10) {
  const auto line = LineOf(text, key);
  const auto number = line ? NumberOf<T>(*ValueOf(*line, key), base) : std::nullopt;
  if (!number) return MalformedText("fdinfo", key, line.value_or(text));
  return *number;
}

}  // namespace

absl::StatusOr<EventfdInfo> ParseEventfdInfo(std::string_view text) {
  constexpr std::string_view kSemaphore = "eventfd-semaphore";
  EventfdInfo info;
  ASSIGN_OR_RETURN(info.count, NumberAt<uint64_t>(text, "eventfd-count", 16));
  if (const auto line = LineOf(text, kSemaphore)) {
    const std::string_view value = *ValueOf(*line, kSemaphore);
    if (value != "0" && value != "1") return MalformedText("fdinfo", kSemaphore, *line);
    info.semaphore = value == "1";
  }
  return info;
}

}  // namespace dumpctl
