#include "proc/same_mappings.h"

#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"

namespace dumpctl {
namespace {

constexpr std::string_view kDeleted = " (deleted)";

bool HasRightsOf(const Mapping& mapping, const VmFlags& flags) {
  return mapping.read == flags.Has(VmFlag::kRead) && mapping.write == flags.Has(VmFlag::kWrite) &&
         mapping.exec == flags.Has(VmFlag::kExec) && mapping.shared == flags.Has(VmFlag::kMayShare);
}

// Of one without a file.
bool IsNamedAsPlain(const Mapping& mapping) {
  const std::string_view name = mapping.name;
  return name.empty() || name == "[heap]" || name == "[stack]" || name.starts_with("[anon:");
}

bool IsFrom(const Mapping& mapping, const MappingSource& source) {
  if (mapping.file != source.file) return false;
  if (mapping.file.valid()) return mapping.offset == source.offset;
  // [vsyscall] is no task's own.
  const bool of_every_task = mapping.start.value() >> 63 != 0;
  return of_every_task || IsNamedAsPlain(mapping) == source.plain;
}

}  // namespace

bool AreMappedStill(const VmaList& list, const BpfMappings& now) {
  if (list.size() != now.flags.size()) return false;
  size_t i = 0;
  for (const Vma& vma : list) {
    const MappingFlags& flags = now.flags[i];
    if (vma.start() != flags.start || vma.end() != flags.end ||
        !HasRightsOf(vma.mapping, flags.flags) || !IsFrom(vma.mapping, now.sources[i])) {
      return false;
    }
    ++i;
  }
  return true;
}

const std::string* OpenNames::Of(int fd) {
  const auto known = names_.find(fd);
  if (known != names_.end()) return &known->second;
  if (!self_) {
    absl::StatusOr<ProcDir> self = ProcDir::OpenOwn();
    if (!self.ok()) return nullptr;
    self_ = *std::move(self);
  }
  absl::StatusOr<std::string> name = self_->ReadLink(absl::StrCat("fd/", fd));
  return name.ok() ? &names_.emplace(fd, *std::move(name)).first->second : nullptr;
}

bool HaveTheirNames(const VmaList& list, OpenNames& names) {
  absl::flat_hash_set<const FileFacts*> known;
  for (const Vma& vma : list) {
    if (!vma.mapping.file.valid() || !known.insert(vma.facts.get()).second) continue;
    if (vma.fd() < 0) return false;
    const std::string* const name = names.Of(vma.fd());
    if (name == nullptr) return false;
    std::string_view rest = *name;
    if (!rest.starts_with(vma.mapping.name)) return false;
    rest.remove_prefix(vma.mapping.name.size());
    if (rest != (vma.mapping.deleted ? kDeleted : "")) return false;
  }
  return true;
}

}  // namespace dumpctl
