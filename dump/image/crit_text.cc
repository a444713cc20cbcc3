#include "dump/image/crit_text.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace dumpctl {
namespace {

constexpr size_t kBytesInLine = 57;  // 76 characters of base64
constexpr size_t kLineLimit = 76;    // of quoted-printable, with the '=' of a soft break

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

// Whether the character at `at` cannot stand for itself. A lone dot ends the text in SMTP.
bool MustBeQuoted(std::string_view bytes, size_t at, size_t column) {
  const char c = bytes[at];
  const auto code = static_cast<unsigned char>(c);
  const char next = at + 1 < bytes.size() ? bytes[at + 1] : '\n';
  if (c == '.') return column == 0 && (next == '\n' || next == '\r' || next == 0);
  if (IsBlank(c)) return next == '\n' && at + 1 == bytes.size();
  return code > 126 || c == '=' || (code < ' ' && c != '\n' && c != '\r');
}

void AppendQuoted(std::string& text, char c) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  const auto code = static_cast<unsigned char>(c);
  text += '=';
  text += kDigits[code >> 4];
  text += kDigits[code & 15];
}

// A newline would hide a blank before it.
void QuoteTrailingBlank(std::string& text) {
  if (text.empty() || !IsBlank(text.back())) return;
  const char blank = text.back();
  text.pop_back();
  AppendQuoted(text, blank);
}

}  // namespace

std::string Base64Lines(std::string_view bytes) {
  std::string text;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(kBytesInLine, bytes.size()))) {
    const std::string_view line = bytes.substr(0, kBytesInLine);
    absl::StrAppend(&text, absl::Base64Escape(absl::string_view(line.data(), line.size())), "\n");
  }
  return text;
}

std::string QuotedPrintable(std::string_view bytes) {
  std::string text;
  size_t column = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    const char c = bytes[at];
    const bool ends_line =
        c == '\n' || (c == '\r' && at + 1 < bytes.size() && bytes[at + 1] == '\n');
    if (ends_line) {
      if (c == '\n' && (at == 0 || bytes[at - 1] != '\r')) QuoteTrailingBlank(text);
      if (c == '\r') QuoteTrailingBlank(text);
      text += c;
      column = 0;
      continue;
    }
    const bool quoted = MustBeQuoted(bytes, at, column);
    const bool last = at + 1 == bytes.size() || bytes[at + 1] == '\n';
    const size_t width = quoted ? 3 : 1;
    if (column + width >= kLineLimit && (quoted || !last)) {
      text += "=\n";
      column = 0;
    }
    if (quoted) {
      AppendQuoted(text, c);
    } else {
      text += c;
    }
    column += width;
  }
  return text;
}

}  // namespace dumpctl
