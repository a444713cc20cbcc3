#include "proc/value_parsers.h"

#include "proc/text_fields.h"

namespace dumpctl {
namespace {

template <typename T>
absl::StatusOr<T> Value(std::string_view file, std::string_view text, int base = 10) {
  const std::optional<T> value = NumberOf<T>(Strip(text), base);
  if (!value) return MalformedText(file, "value", text);
  return *value;
}

}  // namespace

absl::StatusOr<uint32_t> ParsePersonality(std::string_view text) {
  return Value<uint32_t>("personality", text, 16);
}

absl::StatusOr<int32_t> ParseOomScoreAdj(std::string_view text) {
  return Value<int32_t>("oom_score_adj", text);
}

absl::StatusOr<uint32_t> ParseLoginuid(std::string_view text) {
  return Value<uint32_t>("loginuid", text);
}

absl::StatusOr<uint64_t> ParseTimerslack(std::string_view text) {
  return Value<uint64_t>("timerslack_ns", text);
}

}  // namespace dumpctl
