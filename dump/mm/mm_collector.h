#ifndef DUMP_MM_MM_COLLECTOR_H_
#define DUMP_MM_MM_COLLECTOR_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/mm/vma_collector.h"
#include "dumpctl/remote_address.h"
#include "proc/stat_parser.h"
#include "proto/mm.pb.h"

namespace dumpctl {

// What mm-PID.img says of a task beside its mappings.
struct MmFacts {
  TaskStat stat;               // the layout of its program
  RemoteAddress brk;           // exact: asked in the task (what maps shows is rounded up to a page)
  std::vector<uint64_t> auxv;  // pairs of key and value
  uint32_t exe_file_id = 0;    // in files.img
  int32_t dumpable = 0;        // prctl(2) PR_GET_DUMPABLE
  bool thp_disabled = false;   // prctl(2) PR_GET_THP_DISABLE
};

// The whole of mm-PID.img. FailedPrecondition when the addresses are not known (the kernel shows 0
// to callers that may not ptrace the task).
absl::StatusOr<image::mm_entry> MmEntryOf(const MmFacts& facts, CollectedVmas vmas);

}  // namespace dumpctl

#endif  // DUMP_MM_MM_COLLECTOR_H_
