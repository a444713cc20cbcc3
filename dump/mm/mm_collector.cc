#include "dump/mm/mm_collector.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/mm/vma_status.h"
#include "dumpctl/failure.h"

namespace dumpctl {

namespace {

// A context with a ring of that size. The kernel makes room for twice the requests that it is asked
// for, and two more events, to whole pages.
image::aio_ring_entry RingEntry(const image::vma_entry& vma) {
  constexpr uint64_t kHead = 32;
  constexpr uint64_t kEvent = 32;
  image::aio_ring_entry entry;
  const uint64_t bytes = vma.end() - vma.start();
  entry.set_id(vma.start());
  entry.set_nr_req(static_cast<uint32_t>(((bytes - kHead) / kEvent - 2) / 2));
  entry.set_ring_len(static_cast<uint32_t>(bytes));
  return entry;
}

}  // namespace

absl::StatusOr<image::mm_entry> MmEntryOf(const MmFacts& facts, CollectedVmas vmas) {
  const TaskStat& stat = facts.stat;
  if (stat.start_stack == 0 || stat.end_code == 0) {
    return MakeFailure(Failure::kPermission, absl::StatusCode::kFailedPrecondition,
                       absl::StrCat("the kernel hides the memory layout of task ", stat.pid,
                                    " from this caller: CAP_SYS_PTRACE over it is needed"));
  }
  image::mm_entry entry;
  entry.set_mm_start_code(stat.start_code);
  entry.set_mm_end_code(stat.end_code);
  entry.set_mm_start_data(stat.start_data);
  entry.set_mm_end_data(stat.end_data);
  entry.set_mm_start_stack(stat.start_stack);
  entry.set_mm_start_brk(stat.start_brk);
  entry.set_mm_brk(facts.brk.value());
  entry.set_mm_arg_start(stat.arg_start);
  entry.set_mm_arg_end(stat.arg_end);
  entry.set_mm_env_start(stat.env_start);
  entry.set_mm_env_end(stat.env_end);
  entry.set_exe_file_id(facts.exe_file_id);
  entry.set_dumpable(facts.dumpable);
  entry.set_thp_disabled(facts.thp_disabled);
  *entry.mutable_mm_saved_auxv() = {facts.auxv.begin(), facts.auxv.end()};
  for (const image::vma_entry& vma : vmas.entries) {
    if (vma.status() == kVmaAioRing) *entry.add_aios() = RingEntry(vma);
  }
  *entry.mutable_vmas() = std::move(vmas.entries);
  return entry;
}

}  // namespace dumpctl
