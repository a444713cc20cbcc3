#include "proc/bpf_vm_flags.h"

#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"
#include "proc/kept_layout.h"
#include "proc/vm_flag_samples.h"

namespace dumpctl {
namespace {

// What else may put something into memory than a page of its own, which nothing is put in without
// what such pages belong to.
bool MayHoldOthers(const VmFlags& flags) {
  constexpr VmFlag kOthers[] = {VmFlag::kMayShare, VmFlag::kHugeTlb, VmFlag::kPfnMap,
                                VmFlag::kMixedMap, VmFlag::kIo,      VmFlag::kGuarded};
  return std::any_of(std::begin(kOthers), std::end(kOthers),
                     [&flags](VmFlag flag) { return flags.Has(flag); });
}

// [heap] and [stack] touch what the task's memory has of them.
bool MayBeNamed(const VmaRecord& record) {
  const bool touches_heap = record.start <= record.heap_end && record.end >= record.heap_start;
  const bool touches_stack = record.start <= record.stack && record.end >= record.stack;
  return record.anon_name != 0 ||
         (record.device == 0 && (record.operations != 0 || touches_heap || touches_stack));
}

// An inode may have the number 0, but no file system the device 0.
MappingSource SourceOf(const VmaRecord& record, const VmFlags& flags) {
  constexpr int kMinorBits = 20;
  static const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  MappingSource source = {.plain = record.operations == 0,
                          .untouched = record.anon_memory == 0 && !MayHoldOthers(flags),
                          .may_be_named = MayBeNamed(record)};
  if (record.device == 0) return source;
  source.file = {
      .dev = makedev(record.device >> kMinorBits, record.device & ((1 << kMinorBits) - 1)),
      .ino = record.inode};
  source.offset = record.page * page;
  source.dentry = record.dentry;
  source.mount = record.mount;
  return source;
}

// Of what rights, limits and sysctls may keep a caller from making.
bool IsWhole(const VmFlagTable& table) {
  constexpr VmFlag kFlags[] = {VmFlag::kNoReserve, VmFlag::kLocked, VmFlag::kLockOnFault,
                               VmFlag::kUffdWriteProtect};
  return std::all_of(std::begin(kFlags), std::end(kFlags),
                     [&table](VmFlag flag) { return table.Knows(flag); });
}

// What the bits mean is a kernel's own, as the layouts are; to learn it takes 1 ms.
absl::StatusOr<VmFlagTable> TableOf(const BpfVmaIterator& iterator, const LayoutStore& store) {
  constexpr std::string_view kName = "vm_flags";
  if (const auto kept = store.FindValue<VmFlagTable::Plain>(kName)) return VmFlagTable(*kept);
  ASSIGN_OR_RETURN(const std::vector<VmFlagSample> samples, SampleVmFlags(iterator));
  ASSIGN_OR_RETURN(const VmFlagTable table, VmFlagTable::Learn(samples));
  if (IsWhole(table)) store.KeepValue(kName, table.plain());
  return table;
}

}  // namespace

absl::StatusOr<BpfVmFlags> BpfVmFlags::Load() { return Load(LayoutStore::OfThisMachine()); }

bool BpfVmFlags::IsKept() { return LayoutStore::OfThisMachine().Keeps(); }

absl::StatusOr<BpfVmFlags> BpfVmFlags::Load(const LayoutStore& store) {
  ASSIGN_OR_RETURN(BpfVmaIterator iterator, BpfVmaIterator::Load());
  ASSIGN_OR_RETURN(const VmFlagTable table, TableOf(iterator, store));
  ASSIGN_OR_RETURN(std::vector<Mapping> of_every_task, MappingsOfEveryTask());
  return BpfVmFlags(std::move(iterator), table, std::move(of_every_task));
}

absl::Status BpfVmFlags::Attach(pid_t pid) {
  ASSIGN_OR_RETURN(attached_[pid], iterator_.Attach(pid));
  return absl::OkStatus();
}

absl::StatusOr<BpfMappings> BpfVmFlags::Read(pid_t pid) const {
  const auto before = attached_.find(pid);
  const auto ignore = [](size_t) {};
  return before == attached_.end() ? ReadBefore(pid, ignore) : ReadFrom(before->second, ignore);
}

absl::StatusOr<BpfMappings> BpfVmFlags::ReadBefore(pid_t pid,
                                                   absl::FunctionRef<void(size_t)> expect) const {
  ASSIGN_OR_RETURN(const UniqueFd attached, iterator_.Attach(pid));
  return ReadFrom(attached, expect);
}

absl::StatusOr<BpfMappings> BpfVmFlags::ReadFrom(const UniqueFd& attached,
                                                 absl::FunctionRef<void(size_t)> expect) const {
  BpfMappings mappings;
  const auto take = [&](const VmaRecord& record) -> absl::Status {
    if (mappings.flags.empty()) {
      expect(record.mappings);
      mappings.flags.reserve(record.mappings + of_every_task_.size());
      mappings.sources.reserve(record.mappings + of_every_task_.size());
    }
    const std::optional<VmFlags> flags = table_.Translate(record.flags);
    if (!flags) {
      return absl::NotFoundError(absl::StrCat("a mapping has the flags 0x", absl::Hex(record.flags),
                                              ", not all of which are known"));
    }
    mappings.flags.push_back({RemoteAddress(record.start), RemoteAddress(record.end), *flags});
    mappings.sources.push_back(SourceOf(record, *flags));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(BpfVmaIterator::Read(attached, take));
  // They lie in the kernel's half, above all others.
  mappings.of_every_task = of_every_task_;
  for (const Mapping& mapping : of_every_task_) {
    mappings.flags.push_back({mapping.start, mapping.end, *mapping.flags});
  }
  mappings.sources.resize(mappings.flags.size());
  return mappings;
}

}  // namespace dumpctl
