#include "proc/bpf_vm_flags.h"

#include <sys/sysmacros.h>
#include <unistd.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"
#include "proc/vm_flag_samples.h"

namespace dumpctl {
namespace {

// An inode may have the number 0, but no file system the device 0.
MappingSource SourceOf(const VmaRecord& record) {
  constexpr int kMinorBits = 20;
  static const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  MappingSource source = {.plain = record.operations == 0};
  if (record.device == 0) return source;
  source.file = {
      .dev = makedev(record.device >> kMinorBits, record.device & ((1 << kMinorBits) - 1)),
      .ino = record.inode};
  source.offset = record.page * page;
  return source;
}

}  // namespace

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

absl::StatusOr<BpfMappings> BpfVmFlags::Read(pid_t pid) const {
  UniqueFd now;
  const auto before = attached_.find(pid);
  if (before == attached_.end()) {
    ASSIGN_OR_RETURN(now, iterator_.Attach(pid));
  }
  ASSIGN_OR_RETURN(const std::vector<VmaRecord> records,
                   BpfVmaIterator::Read(before == attached_.end() ? now : before->second));
  BpfMappings mappings;
  mappings.flags.reserve(records.size() + of_every_task_.size());
  mappings.sources.reserve(records.size() + of_every_task_.size());
  for (const VmaRecord& record : records) {
    const std::optional<VmFlags> flags = table_.Translate(record.flags);
    if (!flags) {
      return absl::NotFoundError(absl::StrCat("a mapping has the flags 0x", absl::Hex(record.flags),
                                              ", not all of which are known"));
    }
    mappings.flags.push_back({RemoteAddress(record.start), RemoteAddress(record.end), *flags});
    mappings.sources.push_back(SourceOf(record));
  }
  // They lie in the kernel's half, above all others.
  mappings.flags.insert(mappings.flags.end(), of_every_task_.begin(), of_every_task_.end());
  mappings.sources.resize(mappings.flags.size());
  return mappings;
}

}  // namespace dumpctl
