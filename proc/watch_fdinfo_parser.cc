#include "proc/watch_fdinfo_parser.h"

#include <algorithm>

#include "dumpctl/status_macros.h"
#include "proc/text_fields.h"

namespace dumpctl {
namespace {

constexpr size_t kMostBytes = 128;  // MAX_HANDLE_SZ

// The words "key:number" of a line; every number is hexadecimal.
class WatchFields {
 public:
  WatchFields(std::string_view line, std::string_view kind)
      : line_(line), words_(Words(line.substr(kind.size()))) {}

  bool Has(std::string_view key) const { return Find(key).has_value(); }

  template <typename T>
  absl::StatusOr<T> Number(std::string_view key) const {
    const std::optional<std::string_view> text = Find(key);
    const auto number = text ? NumberOf<T>(*text, 16) : std::nullopt;
    if (!number) return MalformedText("fdinfo", key, line_);
    return *number;
  }

  // Nothing where the file system has none, of which the kernel then says nothing.
  absl::StatusOr<std::optional<FileHandle>> Handle() const {
    if (!Has("f_handle")) return std::nullopt;
    FileHandle handle;
    ASSIGN_OR_RETURN(const auto size, Number<uint32_t>("fhandle-bytes"));
    ASSIGN_OR_RETURN(handle.type, Number<int>("fhandle-type"));
    const std::string_view digits = *Find("f_handle");
    if (size > kMostBytes || digits.size() != 2 * size) {
      return MalformedText("fdinfo", "f_handle", line_);
    }
    for (size_t i = 0; i < digits.size(); i += 2) {
      const auto byte = NumberOf<uint8_t>(digits.substr(i, 2), 16);
      if (!byte) return MalformedText("fdinfo", "f_handle", line_);
      handle.bytes.push_back(static_cast<char>(*byte));
    }
    return handle;
  }

  absl::StatusOr<WatchedInode> File() const {
    WatchedInode file;
    ASSIGN_OR_RETURN(file.inode, Number<uint64_t>("ino"));
    ASSIGN_OR_RETURN(file.device, Number<uint32_t>("sdev"));
    ASSIGN_OR_RETURN(file.handle, Handle());
    return file;
  }

 private:
  std::optional<std::string_view> Find(std::string_view key) const {
    for (const std::string_view word : words_) {
      if (const auto value = ValueOf(word, key)) return value;
    }
    return std::nullopt;
  }

  std::string_view line_;
  std::vector<std::string_view> words_;
};

absl::StatusOr<FanotifyMark> ParseMark(const WatchFields& fields, std::string_view line) {
  FanotifyMark mark;
  if (fields.Has("ino")) {
    ASSIGN_OR_RETURN(mark.file, fields.File());
  } else if (fields.Has("mnt_id")) {
    mark.kind = FanotifyMark::Kind::kMount;
    ASSIGN_OR_RETURN(mark.mount_id, fields.Number<int>("mnt_id"));
  } else if (fields.Has("sdev")) {
    mark.kind = FanotifyMark::Kind::kFileSystem;
    ASSIGN_OR_RETURN(mark.file.device, fields.Number<uint32_t>("sdev"));
  } else {
    return MalformedText("fdinfo", "fanotify", line);
  }
  ASSIGN_OR_RETURN(mark.flags, fields.Number<uint32_t>("mflags"));
  ASSIGN_OR_RETURN(mark.mask, fields.Number<uint32_t>("mask"));
  ASSIGN_OR_RETURN(mark.ignored, fields.Number<uint32_t>("ignored_mask"));
  return mark;
}

}  // namespace

absl::StatusOr<std::vector<InotifyWatch>> ParseInotifyInfo(std::string_view text) {
  constexpr std::string_view kKind = "inotify ";
  std::vector<InotifyWatch> watches;
  while (!text.empty()) {
    const std::string_view line = TakeUntil(text, '\n');
    if (!line.starts_with(kKind)) continue;
    const WatchFields fields(line, kKind);
    InotifyWatch& watch = watches.emplace_back();
    ASSIGN_OR_RETURN(watch.number, fields.Number<int>("wd"));
    ASSIGN_OR_RETURN(watch.file, fields.File());
    ASSIGN_OR_RETURN(watch.mask, fields.Number<uint32_t>("mask"));
  }
  return watches;
}

absl::StatusOr<FanotifyInfo> ParseFanotifyInfo(std::string_view text) {
  constexpr std::string_view kKind = "fanotify ";
  FanotifyInfo info;
  const std::string_view whole = text;
  bool has_head = false;
  while (!text.empty()) {
    const std::string_view line = TakeUntil(text, '\n');
    if (!line.starts_with(kKind)) continue;
    const WatchFields fields(line, kKind);
    if (has_head) {
      ASSIGN_OR_RETURN(const FanotifyMark mark, ParseMark(fields, line));
      info.marks.push_back(mark);
      continue;
    }
    ASSIGN_OR_RETURN(info.flags, fields.Number<uint32_t>("flags"));
    ASSIGN_OR_RETURN(info.event_flags, fields.Number<uint32_t>("event-flags"));
    has_head = true;
  }
  if (!has_head) return MalformedText("fdinfo", "flags", whole);
  return info;
}

}  // namespace dumpctl
