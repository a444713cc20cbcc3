#include "proc/same_mappings.h"

#include <unistd.h>

#include <string>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "proc/proc_fs.h"

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

bool HaveTheirNames(const VmaList& list) {
  const absl::StatusOr<ProcDir> self = ProcDir::OpenTask(getpid());
  if (!self.ok()) return false;
  absl::flat_hash_set<const FileFacts*> known;
  for (const Vma& vma : list) {
    if (!vma.mapping.file.valid() || !known.insert(vma.facts.get()).second) continue;
    if (vma.fd() < 0) return false;
    const absl::StatusOr<std::string> name = self->ReadLink(absl::StrCat("fd/", vma.fd()));
    if (!name.ok()) return false;
    std::string_view rest = *name;
    if (!rest.starts_with(vma.mapping.name)) return false;
    rest.remove_prefix(vma.mapping.name.size());
    if (rest != (vma.mapping.deleted ? kDeleted : "")) return false;
  }
  return true;
}

}  // namespace dumpctl
