#ifndef DUMP_MM_VMA_COLLECTOR_H_
#define DUMP_MM_VMA_COLLECTOR_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "dump/mm/guard_range.h"
#include "dumpctl/resource_refusal.h"
#include "dumpctl/vma.h"
#include "proc/vma_list.h"
#include "proto/mm.pb.h"

namespace dumpctl {

// Gives the id under which a mapped file stands in files.img (whoever collects files knows).
using MappedFileId = absl::FunctionRef<absl::StatusOr<uint32_t>(const Vma&)>;

struct CollectedVmas {
  // As mm-PID.img holds them, ascending.
  google::protobuf::RepeatedPtrField<image::vma_entry> entries;
  // Mappings that cannot be dumped; they have no entry.
  ResourceRefusals refusals;
};

// The image entries of a task's mappings. VmFlags must be known: without them neither madvise(2)
// nor growing nor locking could be put back.
//
// `guards`, ascending, are what a page scan found. The image cannot express a guard inside a
// mapping, so there the mapping is cut and an inaccessible piece takes the guard's place: an access
// faults as before. Where nobody scanned (nullopt), mappings that smaps marks as guarded are
// refused.
//
// Errors: Internal when VmFlags are missing, the callback's.
absl::StatusOr<CollectedVmas> CollectVmas(pid_t pid, const VmaList& vmas,
                                          std::optional<std::span<const GuardRange>> guards,
                                          MappedFileId file_id);

// How restore has to open the file of a mapping, O_RDONLY or O_RDWR: what its entry in files.img
// must say, too. A shared mapping that may become writable needs a writable descriptor even while
// its protection is less; a private one never does.
uint32_t OpenFlagsOf(const Mapping& mapping);

// All mappings that cannot be dumped, for which neither guards nor VmFlags need to be known: what
// preflight asks of a running task.
ResourceRefusals RefuseMappings(pid_t pid, const VmaList& vmas);

}  // namespace dumpctl

#endif  // DUMP_MM_VMA_COLLECTOR_H_
