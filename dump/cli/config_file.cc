#include "dump/cli/config_file.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "dumpctl/failure.h"
#include "dumpctl/printable.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

constexpr std::string_view kSpace = " \t\r\v\f";

std::string_view WithoutSpace(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpace);
  return begin == std::string_view::npos ? "" : text.substr(begin);
}

// Cuts off of `rest` what stands before its first whitespace.
std::string_view TakeWord(std::string_view& rest) {
  const std::string_view word = rest.substr(0, rest.find_first_of(kSpace));
  rest.remove_prefix(word.size());
  return word;
}

// Cuts a value in double quotes off of `rest`; none when they do not end.
std::optional<std::string> TakeQuoted(std::string_view& rest) {
  std::string value;
  for (size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == '"') {
      rest.remove_prefix(i + 1);
      return value;
    }
    if (rest.substr(i).starts_with("\\\"")) ++i;
    value += rest[i];
  }
  return std::nullopt;
}

// Of the option `name`.
absl::StatusOr<std::string> ParseValue(std::string_view rest, std::string_view name) {
  std::optional<std::string> value;
  if (rest.starts_with('"')) {
    value = TakeQuoted(rest);
    if (!value) return absl::InvalidArgumentError("a quoted value without its second quote");
    if (!rest.empty() && kSpace.find(rest.front()) == std::string_view::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", Printable(rest), "\" right behind a quoted value"));
    }
  } else {
    value = TakeWord(rest);
  }
  rest = WithoutSpace(rest);
  if (rest.empty() || rest.starts_with('#')) return *value;
  return absl::InvalidArgumentError(
      absl::StrCat("\"", Printable(rest), "\" behind the value of ", Printable(name),
                   "; a value with whitespace stands in double quotes"));
}

absl::StatusOr<ConfigLine> ParseLine(std::string_view text) {
  std::string_view rest = text;
  std::string_view word = TakeWord(rest);
  const size_t equals = word.find('=');
  const bool has_equals = equals != std::string_view::npos;
  if (has_equals) {
    rest = text.substr(equals + 1);
    word = word.substr(0, equals);
  } else {
    rest = WithoutSpace(rest);
  }
  if (word.starts_with('-')) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", Printable(word), "\": options stand without dashes here"));
  }
  ConfigLine line{.number = 0, .name = std::string(word), .value = std::nullopt};
  if (has_equals || !(rest.empty() || rest.starts_with('#'))) {
    ASSIGN_OR_RETURN(line.value, ParseValue(rest, word));
  }
  return line;
}

}  // namespace

absl::Status ConfigError(std::string_view path, size_t line, std::string_view what) {
  return MakeFailure(Failure::kConfig, absl::StatusCode::kInvalidArgument,
                     absl::StrCat(Printable(path), ":", line, ": ", std::string(what)));
}

absl::StatusOr<std::vector<ConfigLine>> ParseConfig(std::string_view text, std::string_view path) {
  std::vector<ConfigLine> lines;
  size_t number = 0;
  for (const absl::string_view each :
       absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    ++number;
    const std::string_view stripped = WithoutSpace(std::string_view(each.data(), each.size()));
    if (stripped.empty() || stripped.starts_with('#')) continue;
    absl::StatusOr<ConfigLine> line = ParseLine(stripped);
    if (!line.ok()) {
      const absl::string_view wrong = line.status().message();
      return ConfigError(path, number, std::string_view(wrong.data(), wrong.size()));
    }
    line->number = number;
    lines.push_back(*std::move(line));
  }
  return lines;
}

}  // namespace dumpctl
