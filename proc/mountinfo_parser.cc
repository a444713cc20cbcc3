#include "proc/mountinfo_parser.h"

#include <sys/sysmacros.h>

#include <optional>

#include "dumpctl/status_macros.h"
#include "proc/text_fields.h"

namespace dumpctl {
namespace {

// Takes fields off the front of one line. Exactly one blank stands between two fields, and a field
// may be empty: the source of `mount -t tmpfs "" /mnt` is.
class MountFields {
 public:
  explicit MountFields(std::string_view line) : line_(line), rest_(line) {}

  absl::Status Malformed(std::string_view field) const {
    return MalformedText("mountinfo", field, line_);
  }

  absl::StatusOr<std::string_view> Take(std::string_view field) {
    if (!more_) return Malformed(field);
    more_ = rest_.find(' ') != std::string_view::npos;
    return TakeUntil(rest_, ' ');
  }

  absl::StatusOr<std::string_view> TakeFilled(std::string_view field) {
    ASSIGN_OR_RETURN(const std::string_view text, Take(field));
    if (text.empty()) return Malformed(field);
    return text;
  }

  absl::StatusOr<int> TakeId(std::string_view field) {
    ASSIGN_OR_RETURN(const std::string_view text, Take(field));
    const auto number = NumberOf<int>(text);
    if (!number || *number < 0) return Malformed(field);
    return *number;
  }

  absl::StatusOr<dev_t> TakeDevice() {
    ASSIGN_OR_RETURN(std::string_view text, Take("major:minor"));
    const auto major = NumberOf<unsigned>(TakeUntil(text, ':'));
    const auto minor = NumberOf<unsigned>(text);
    if (!major || !minor) return Malformed("major:minor");
    return makedev(*major, *minor);
  }

  // Few file systems fail to escape a blank in an option; whatever is left belongs to the last one.
  absl::StatusOr<std::string_view> TakeRest(std::string_view field) {
    if (!more_ || rest_.empty()) return Malformed(field);
    more_ = false;
    return rest_;
  }

 private:
  std::string_view line_;
  std::string_view rest_;
  bool more_ = true;  // another field begins at rest_, be it empty
};

absl::StatusOr<Mount> ParseMount(std::string_view line) {
  MountFields fields(line);
  Mount mount;
  ASSIGN_OR_RETURN(mount.id, fields.TakeId("mount ID"));
  ASSIGN_OR_RETURN(mount.parent, fields.TakeId("parent ID"));
  ASSIGN_OR_RETURN(mount.dev, fields.TakeDevice());
  ASSIGN_OR_RETURN(const std::string_view root, fields.TakeFilled("root"));
  mount.root = UndoOctalEscapes(root);
  ASSIGN_OR_RETURN(const std::string_view mount_point, fields.TakeFilled("mount point"));
  if (!mount_point.starts_with('/')) return fields.Malformed("mount point");
  mount.mount_point = UndoOctalEscapes(mount_point);
  ASSIGN_OR_RETURN(mount.options, fields.TakeFilled("mount options"));
  for (;;) {
    ASSIGN_OR_RETURN(const std::string_view optional, fields.TakeFilled("separator"));
    if (optional == "-") break;
    mount.optional_fields.emplace_back(optional);
  }
  ASSIGN_OR_RETURN(const std::string_view fs_type, fields.TakeFilled("filesystem type"));
  mount.fs_type = UndoOctalEscapes(fs_type);
  ASSIGN_OR_RETURN(const std::string_view source, fields.Take("mount source"));
  mount.source = UndoOctalEscapes(source);
  ASSIGN_OR_RETURN(mount.super_options, fields.TakeRest("super options"));
  return mount;
}

}  // namespace

std::string UndoOctalEscapes(std::string_view text) {
  constexpr size_t kDigits = 3;
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    if (text.front() == '\\' && text.size() > kDigits) {
      if (const auto code = NumberOf<unsigned char>(text.substr(1, kDigits), 8)) {
        out.push_back(static_cast<char>(*code));
        text.remove_prefix(1 + kDigits);
        continue;
      }
    }
    out.push_back(text.front());
    text.remove_prefix(1);
  }
  return out;
}

absl::StatusOr<std::vector<Mount>> ParseMountinfo(std::string_view text) {
  std::vector<Mount> mounts;
  while (!text.empty()) {
    ASSIGN_OR_RETURN(mounts.emplace_back(), ParseMount(TakeUntil(text, '\n')));
  }
  return mounts;
}

}  // namespace dumpctl
