#include "proc/timens_parser.h"

#include <optional>
#include <vector>

#include "proc/text_fields.h"

namespace dumpctl {
namespace {

constexpr long kNanosecondsPerSecond = 1'000'000'000;

}  // namespace

absl::StatusOr<TimensOffsets> ParseTimensOffsets(std::string_view text) {
  std::optional<timespec> monotonic;
  std::optional<timespec> boottime;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view line = TakeUntil(rest, '\n');
    const std::vector<std::string_view> words = Words(line);
    if (words.size() != 3) return MalformedText("timens_offsets", "clock", line);
    const auto seconds = NumberOf<time_t>(words[1]);
    const auto nanoseconds = NumberOf<long>(words[2]);
    if (!seconds) return MalformedText("timens_offsets", "seconds", line);
    if (!nanoseconds || *nanoseconds < 0 || *nanoseconds >= kNanosecondsPerSecond) {
      return MalformedText("timens_offsets", "nanoseconds", line);
    }
    const timespec offset = {*seconds, *nanoseconds};
    // Before Linux 5.7 clocks stood there by number.
    std::optional<timespec>* clock = nullptr;
    if (words[0] == "monotonic" || words[0] == "1") clock = &monotonic;
    if (words[0] == "boottime" || words[0] == "7") clock = &boottime;
    if (clock == nullptr || clock->has_value()) {
      return MalformedText("timens_offsets", "clock", line);
    }
    *clock = offset;
  }
  if (!monotonic) return MalformedText("timens_offsets", "monotonic", text);
  if (!boottime) return MalformedText("timens_offsets", "boottime", text);
  return TimensOffsets{.monotonic = *monotonic, .boottime = *boottime};
}

}  // namespace dumpctl
