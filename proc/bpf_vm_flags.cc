#include "proc/bpf_vm_flags.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"
#include "proc/vm_flag_samples.h"

namespace dumpctl {

absl::StatusOr<BpfVmFlags> BpfVmFlags::Load() {
  ASSIGN_OR_RETURN(BpfVmaIterator iterator, BpfVmaIterator::Load());
  ASSIGN_OR_RETURN(OwnVmFlags own, SampleVmFlags(iterator));
  ASSIGN_OR_RETURN(VmFlagTable table, VmFlagTable::Learn(own.samples));
  return BpfVmFlags(std::move(iterator), std::move(table), std::move(own.of_every_task));
}

absl::Status BpfVmFlags::Attach(pid_t pid) {
  ASSIGN_OR_RETURN(attached_[pid], iterator_.Attach(pid));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<MappingFlags>> BpfVmFlags::Read(pid_t pid) const {
  UniqueFd now;
  const auto before = attached_.find(pid);
  if (before == attached_.end()) {
    ASSIGN_OR_RETURN(now, iterator_.Attach(pid));
  }
  ASSIGN_OR_RETURN(const std::vector<VmaRecord> records,
                   BpfVmaIterator::Read(before == attached_.end() ? now : before->second));
  std::vector<MappingFlags> mappings;
  mappings.reserve(records.size() + of_every_task_.size());
  for (const VmaRecord& record : records) {
    const std::optional<VmFlags> flags = table_.Translate(record.flags);
    if (!flags) {
      return absl::NotFoundError(absl::StrCat("a mapping has the flags 0x", absl::Hex(record.flags),
                                              ", not all of which are known"));
    }
    mappings.push_back({RemoteAddress(record.start), RemoteAddress(record.end), *flags});
  }
  // They lie in the kernel's half, above all others.
  mappings.insert(mappings.end(), of_every_task_.begin(), of_every_task_.end());
  return mappings;
}

}  // namespace dumpctl
