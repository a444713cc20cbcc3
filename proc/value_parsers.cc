#include "proc/value_parsers.h"

#include "proc/text_fields.h"

namespace dumpctl {
namespace {

template <typename T>
absl::StatusOr<T> Value(std::string_view file, std::string_view text) {
  const std::optional<T> value = NumberOf<T>(Strip(text));
  if (!value) return MalformedText(file, "value", text);
  return *value;
}

}  // namespace

absl::StatusOr<int32_t> ParseOomScoreAdj(std::string_view text) {
  return Value<int32_t>("oom_score_adj", text);
}

absl::StatusOr<uint32_t> ParseLoginuid(std::string_view text) {
  return Value<uint32_t>("loginuid", text);
}

}  // namespace dumpctl
