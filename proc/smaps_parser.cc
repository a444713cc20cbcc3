#include "proc/smaps_parser.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"
#include "proc/vm_flag_codes.h"

namespace dumpctl {
namespace {

constexpr std::string_view kDeletedSuffix = " (deleted)";

absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

absl::Status BadField(std::string_view line, std::string_view field) {
  return absl::DataLossError(
      absl::StrCat("cannot read the field '", Absl(field), "' of \"", Absl(line), "\""));
}

// Takes fields off the front of one line. Every Take names its field for the error.
class LineCursor {
 public:
  explicit LineCursor(std::string_view line) : line_(line), rest_(line) {}

  template <typename T>
  absl::StatusOr<T> TakeNumber(std::string_view field, int base) {
    T value = 0;
    const auto [end, error] =
        std::from_chars(rest_.data(), rest_.data() + rest_.size(), value, base);
    if (error != std::errc()) return BadField(line_, field);
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return value;
  }

  absl::Status TakeChar(char c, std::string_view field) {
    if (rest_.empty() || rest_.front() != c) return BadField(line_, field);
    rest_.remove_prefix(1);
    return absl::OkStatus();
  }

  // One of two characters; true for the first.
  absl::StatusOr<bool> TakeEither(char yes, char no, std::string_view field) {
    if (rest_.empty() || (rest_.front() != yes && rest_.front() != no)) {
      return BadField(line_, field);
    }
    const bool is_yes = rest_.front() == yes;
    rest_.remove_prefix(1);
    return is_yes;
  }

  // The padded name: nothing but blanks may stand before it, and its own blanks count. It never
  // starts with one: paths start with '/', all others with a letter, '[' or '('.
  absl::StatusOr<std::string_view> TakeName() {
    if (rest_.empty()) return rest_;
    RETURN_IF_ERROR(TakeChar(' ', "name"));
    rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size()));
    return std::exchange(rest_, {});
  }

 private:
  std::string_view line_;
  std::string_view rest_;
};

// maps escapes newlines and nothing else (seq_file_path(..., "\n")), not even the backslash.
std::string UnescapeNewlines(std::string_view name) {
  constexpr std::string_view kEscape = "\\012";
  std::string out;
  out.reserve(name.size());
  for (;;) {
    const size_t at = name.find(kEscape);
    out.append(name.substr(0, at));
    if (at == std::string_view::npos) return out;
    out.push_back('\n');
    name.remove_prefix(at + kEscape.size());
  }
}

// "Rss:                 148 kB", "THPeligible:    0": a name, a number, and perhaps its unit.
absl::Status CheckFieldLine(std::string_view line, std::string_view name, std::string_view value) {
  if (name.empty()) return BadField(line, "name");
  value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc()) return BadField(line, name);
  value.remove_prefix(static_cast<size_t>(end - value.data()));
  if (!value.empty() && value != " kB") return BadField(line, name);
  return absl::OkStatus();
}

// Entries start with an address in lower-case hexadecimal, field names with an upper-case letter.
bool StartsEntry(std::string_view line) {
  return !line.empty() && ((line.front() >= '0' && line.front() <= '9') ||
                           (line.front() >= 'a' && line.front() <= 'f'));
}

// Kernel trap: a running task's text comes in several reads, and the next one starts over with the
// VMA that holds the address where the last one stopped. One that grew or merged in between is thus
// printed again; the later line is the newer truth. A frozen task's lines just ascend.
absl::Status Append(std::vector<Mapping>& mappings, Mapping next, std::string_view line) {
  while (!mappings.empty() && mappings.back().start >= next.start &&
         mappings.back().end <= next.end) {
    mappings.pop_back();
  }
  if (!mappings.empty() && mappings.back().end > next.start) {
    return absl::DataLossError(absl::StrCat("the field 'start' of \"", Absl(line),
                                            "\" lies inside the mapping before it"));
  }
  mappings.push_back(std::move(next));
  return absl::OkStatus();
}

class LineReader {
 public:
  explicit LineReader(std::string_view text) : rest_(text) {}
  bool done() const { return rest_.empty(); }
  absl::StatusOr<std::string_view> Next() {
    const size_t end = rest_.find('\n');
    if (end == std::string_view::npos) {
      return absl::DataLossError(
          absl::StrCat("the line \"", Absl(rest_), "\" is cut short: no newline ends it"));
    }
    const std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return line;
  }

 private:
  std::string_view rest_;
};

}  // namespace

absl::StatusOr<Mapping> ParseMapsLine(std::string_view line) {
  LineCursor cursor(line);
  Mapping mapping;
  ASSIGN_OR_RETURN(const uint64_t start, cursor.TakeNumber<uint64_t>("start", 16));
  RETURN_IF_ERROR(cursor.TakeChar('-', "start"));
  ASSIGN_OR_RETURN(const uint64_t end, cursor.TakeNumber<uint64_t>("end", 16));
  RETURN_IF_ERROR(cursor.TakeChar(' ', "end"));
  if (end <= start) return BadField(line, "end");
  mapping.start = RemoteAddress(start);
  mapping.end = RemoteAddress(end);
  ASSIGN_OR_RETURN(mapping.read, cursor.TakeEither('r', '-', "permissions"));
  ASSIGN_OR_RETURN(mapping.write, cursor.TakeEither('w', '-', "permissions"));
  ASSIGN_OR_RETURN(mapping.exec, cursor.TakeEither('x', '-', "permissions"));
  ASSIGN_OR_RETURN(mapping.shared, cursor.TakeEither('s', 'p', "permissions"));
  RETURN_IF_ERROR(cursor.TakeChar(' ', "permissions"));
  ASSIGN_OR_RETURN(mapping.offset, cursor.TakeNumber<uint64_t>("offset", 16));
  RETURN_IF_ERROR(cursor.TakeChar(' ', "offset"));
  ASSIGN_OR_RETURN(const unsigned dev_major, cursor.TakeNumber<unsigned>("device", 16));
  RETURN_IF_ERROR(cursor.TakeChar(':', "device"));
  ASSIGN_OR_RETURN(const unsigned dev_minor, cursor.TakeNumber<unsigned>("device", 16));
  RETURN_IF_ERROR(cursor.TakeChar(' ', "device"));
  ASSIGN_OR_RETURN(mapping.file.ino, cursor.TakeNumber<ino_t>("inode", 10));
  mapping.file.dev = makedev(dev_major, dev_minor);
  ASSIGN_OR_RETURN(std::string_view name, cursor.TakeName());
  if (name.size() >= kDeletedSuffix.size() &&
      name.substr(name.size() - kDeletedSuffix.size()) == kDeletedSuffix) {
    mapping.deleted = true;
    name.remove_suffix(kDeletedSuffix.size());
  }
  mapping.name = UnescapeNewlines(name);
  return mapping;
}

size_t CountMappings(std::string_view maps) {
  // memchr(3) looks at dozens of characters at a time.
  size_t count = 0;
  for (size_t end = maps.find('\n'); end != maps.npos; end = maps.find('\n', end + 1)) ++count;
  return count;
}

absl::StatusOr<std::vector<Mapping>> ParseMaps(std::string_view text) {
  std::vector<Mapping> mappings;
  mappings.reserve(CountMappings(text));
  for (LineReader lines(text); !lines.done();) {
    ASSIGN_OR_RETURN(const std::string_view line, lines.Next());
    ASSIGN_OR_RETURN(Mapping mapping, ParseMapsLine(line));
    RETURN_IF_ERROR(Append(mappings, std::move(mapping), line));
  }
  return mappings;
}

absl::StatusOr<std::vector<Mapping>> ParseSmaps(std::string_view text) {
  std::vector<Mapping> mappings;
  std::string_view head;  // of the last entry
  const auto check_complete = [&]() -> absl::Status {
    if (mappings.empty() || mappings.back().flags.has_value()) return absl::OkStatus();
    return absl::DataLossError(
        absl::StrCat("the entry \"", Absl(head), "\" has no field 'VmFlags'"));
  };
  for (LineReader lines(text); !lines.done();) {
    ASSIGN_OR_RETURN(const std::string_view line, lines.Next());
    if (StartsEntry(line)) {
      RETURN_IF_ERROR(check_complete());
      ASSIGN_OR_RETURN(Mapping mapping, ParseMapsLine(line));
      RETURN_IF_ERROR(Append(mappings, std::move(mapping), line));
      head = line;
      continue;
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return BadField(line, "name");
    if (mappings.empty()) {
      return absl::DataLossError(
          absl::StrCat("the field \"", Absl(line), "\" belongs to no mapping"));
    }
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = line.substr(colon + 1);
    if (name == "VmFlags") {
      mappings.back().flags = VmFlagsOf(value);
      if (!mappings.back().flags.has_value()) return BadField(line, name);
    } else {
      RETURN_IF_ERROR(CheckFieldLine(line, name, value));
    }
  }
  RETURN_IF_ERROR(check_complete());
  return mappings;
}

}  // namespace dumpctl
