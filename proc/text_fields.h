#ifndef PROC_TEXT_FIELDS_H_
#define PROC_TEXT_FIELDS_H_

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace dumpctl {

// The small tools that the parsers of procfs share. None of them skips what it does not understand.

// `file` and `field` say where, `line` is quoted with what is not printable escaped.
inline absl::Status MalformedText(std::string_view file, std::string_view field,
                                  std::string_view line) {
  return absl::DataLossError(absl::StrCat(std::string(file), ": field ", std::string(field),
                                          " is malformed in \"",
                                          absl::CHexEscape(std::string(line)), "\""));
}

// The whole of `text` as a number; none when anything else stands in it or it does not fit.
template <typename T>
std::optional<T> NumberOf(std::string_view text, int base = 10) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return {};
  return value;
}

// Takes the text up to the next `separator` (or the end) off the front of `rest`.
inline std::string_view TakeUntil(std::string_view& rest, char separator) {
  const size_t at = rest.find(separator);
  const std::string_view taken = rest.substr(0, at);
  rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + 1);
  return taken;
}

inline bool IsWhitespace(char c) { return c == ' ' || c == '\t' || c == '\n'; }

inline std::string_view Strip(std::string_view text) {
  while (!text.empty() && IsWhitespace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsWhitespace(text.back())) text.remove_suffix(1);
  return text;
}

// The value of "key:\tvalue"; none when the line has another key.
inline std::optional<std::string_view> ValueOf(std::string_view line, std::string_view key) {
  if (line.size() <= key.size() || line[key.size()] != ':' || !line.starts_with(key)) return {};
  return Strip(line.substr(key.size() + 1));
}

// Whether a line of `text` begins so.
inline bool HasLine(std::string_view text, std::string_view start) {
  for (; !text.empty(); TakeUntil(text, '\n')) {
    if (text.starts_with(start)) return true;
  }
  return false;
}

// Words between blanks and tabs. (The library's search for one of several characters makes a call
// for each character: that was 2 % of a dump of many tasks.)
inline std::vector<std::string_view> Words(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t at = 0;;) {
    while (at < text.size() && IsWhitespace(text[at])) ++at;
    if (at == text.size()) return words;
    const size_t begin = at;
    while (at < text.size() && !IsWhitespace(text[at])) ++at;
    words.push_back(text.substr(begin, at - begin));
  }
}

}  // namespace dumpctl

#endif  // PROC_TEXT_FIELDS_H_
