#include "dump/session/tree_flags.h"

#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/mm/write_watch.h"
#include "dump/session/helper.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"

namespace dumpctl {
namespace {

// Whether they came by BPF in the end. If those are of other mappings, smaps tells.
absl::StatusOr<bool> LearnTaskFlags(const DumpRun& run, const KernelFeatures& features,
                                    const FrozenTask& task, ReadFlags& flags, VmaList& vmas) {
  RETURN_IF_ERROR(LeaveOutWatch(task.dir(), features, flags.flags));
  absl::Status learnt = vmas.LearnFlags(flags.flags);
  if (!learnt.ok() && flags.by_bpf) {
    run.log.Info(absl::StrCat("VmFlags by BPF are of other mappings: ", learnt.message()));
    ASSIGN_OR_RETURN(flags, ReadFlagsFromSmaps(task));
    RETURN_IF_ERROR(LeaveOutWatch(task.dir(), features, flags.flags));
    learnt = vmas.LearnFlags(flags.flags);
  }
  RETURN_IF_ERROR(learnt);
  return flags.by_bpf;
}

}  // namespace

const BpfVmFlags* FlagsByBpf(const DumpRun& run, const Preflight& preflight) {
  if (!preflight.flags_by_bpf.valid()) return nullptr;
  const TraceSpan span(TraceKind::kPhase, "wait");
  const absl::StatusOr<BpfVmFlags>& loaded = preflight.flags_by_bpf.get();
  if (loaded.ok()) return &*loaded;
  run.log.Info(absl::StrCat("No VmFlags by BPF: ", loaded.status().message()));
  return nullptr;
}

absl::StatusOr<std::vector<ReadFlags>> FlagsOf(ReadFlagsLater& later, TreeFacts& facts) {
  if (later.valid()) return Await(later);
  std::vector<ReadFlags> flags;
  for (FrozenFacts& task : facts.tasks) flags.push_back(*std::exchange(task.flags, std::nullopt));
  return flags;
}

absl::Status LearnFlags(const DumpRun& run, const KernelFeatures& features, const FrozenTree& tree,
                        absl::StatusOr<std::vector<ReadFlags>> read, TreeFacts& facts) {
  const TraceSpan span(TraceKind::kPhase, "flags");
  RETURN_IF_ERROR(run.Begin("flags"));
  RETURN_IF_ERROR(read.status());
  size_t by_bpf = 0;
  size_t mappings = 0;
  for (size_t i = 0; i < facts.tasks.size(); ++i) {
    ReadFlags& flags = (*read)[i];
    ASSIGN_OR_RETURN(const bool is_by_bpf,
                     LearnTaskFlags(run, features, tree.tasks()[i], flags, facts.tasks[i].vmas));
    by_bpf += is_by_bpf ? 1 : 0;
    mappings += flags.flags.size();
  }
  const char* const way = by_bpf == 0                   ? "smaps"
                          : by_bpf < facts.tasks.size() ? "BPF and smaps"
                                                        : "BPF";
  run.log.Info(absl::StrCat("VmFlags of ", mappings, " mappings by ", way));
  return absl::OkStatus();
}

}  // namespace dumpctl
