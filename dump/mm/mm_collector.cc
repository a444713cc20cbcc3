#include "dump/mm/mm_collector.h"

#include <elf.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "dumpctl/failure.h"

namespace dumpctl {

absl::StatusOr<std::vector<uint64_t>> ParseAuxv(std::string_view bytes) {
  std::vector<uint64_t> values;
  while (bytes.size() >= 2 * sizeof(uint64_t)) {
    uint64_t pair[2];
    memcpy(pair, bytes.data(), sizeof pair);
    // The kernel's array has spare room behind the end, which is no part of the vector.
    if (pair[0] == AT_NULL) return values;
    values.insert(values.end(), {pair[0], pair[1]});
    bytes.remove_prefix(sizeof pair);
  }
  return absl::DataLossError(absl::StrCat("the auxiliary vector of ", values.size() / 2,
                                          " pairs ends without AT_NULL, with ", bytes.size(),
                                          " bytes left over"));
}

absl::StatusOr<image::mm_entry> MmEntryOf(const MmFacts& facts, const CollectedVmas& vmas) {
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
  *entry.mutable_vmas() = {vmas.entries.begin(), vmas.entries.end()};
  return entry;
}

}  // namespace dumpctl
