#include "proc/memory_parsers.h"

#include <optional>

#include "proc/text_fields.h"

namespace dumpctl {

absl::StatusOr<uint64_t> ParseMemAvailable(std::string_view text) {
  constexpr uint64_t kMost = UINT64_MAX / 1024;
  while (!text.empty()) {
    const std::string_view line = TakeUntil(text, '\n');
    const std::optional<std::string_view> value = ValueOf(line, "MemAvailable");
    if (!value) continue;
    const auto words = Words(*value);
    const auto amount = words.size() == 2 && words[1] == "kB" ? NumberOf<uint64_t>(words[0])
                                                              : std::optional<uint64_t>();
    if (!amount || *amount > kMost) return MalformedText("meminfo", "MemAvailable", line);
    return *amount * 1024;
  }
  return absl::DataLossError("meminfo: there is no MemAvailable");
}

absl::StatusOr<uint64_t> ParseMemoryAmount(std::string_view text) {
  const std::string_view word = Strip(text);
  if (word == "max") return UINT64_MAX;
  const auto amount = NumberOf<uint64_t>(word);
  if (!amount) return MalformedText("memory cgroup", "amount", text);
  constexpr uint64_t kUnlimited = uint64_t{INT64_MAX} / 65536 * 65536;  // at pages of 64 KiB
  return *amount >= kUnlimited ? UINT64_MAX : *amount;
}

absl::StatusOr<uint64_t> ParseReclaimable(std::string_view text) {
  std::optional<uint64_t> own;
  while (!text.empty()) {
    const std::string_view line = TakeUntil(text, '\n');
    std::string_view rest = line;
    const std::string_view key = TakeUntil(rest, ' ');
    if (key != "inactive_file" && key != "total_inactive_file") continue;
    const auto amount = NumberOf<uint64_t>(rest);
    if (!amount) return MalformedText("memory.stat", key, line);
    if (key == "total_inactive_file") return *amount;
    own = amount;
  }
  return own.value_or(0);
}

}  // namespace dumpctl
