#include "dump/session/tree_cgroups.h"

#include <unistd.h>

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/cg/cgroup_dirs.h"
#include "dump/cg/cgroup_sets.h"
#include "dump/cg/frozen_cgroups.h"
#include "dump/session/cgroup_freezer.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

// A kernel without cgroups has no such file.
absl::StatusOr<std::string> DumpersCgroups() {
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
  return self.ReadWhole("cgroup").value_or("");
}

absl::StatusOr<TreeCgroups> ReadCgroups(const FrozenTree& tree, const std::string& dumpers,
                                        const CgroupOptions& options) {
  const TraceSpan span(TraceKind::kWork, "read cgroups");
  TreeCgroups cgroups;
  ASSIGN_OR_RETURN(CgroupSets sets, CgroupSets::Create(dumpers, options.controllers));
  std::map<uint64_t, uint32_t> known;  // numbers, by where the kernel has the set
  for (const FrozenTask& task : tree.tasks()) {
    for (const FrozenThread& thread : task.threads()) {
      const auto same = thread.row ? known.find(thread.row->cgroups) : known.end();
      if (same != known.end()) {
        cgroups.sets[thread.tid] = same->second;
        continue;
      }
      const absl::StatusOr<std::string> text =
          task.dir().ReadWhole(ThreadFile(task.pid(), thread.tid, "cgroup"));
      if (absl::IsNotFound(text.status())) continue;
      RETURN_IF_ERROR(text.status());
      ASSIGN_OR_RETURN(const uint32_t number, sets.NumberOf(*text));
      cgroups.sets[thread.tid] = number;
      if (thread.row) known.emplace(thread.row->cgroups, number);
    }
  }
  if (!sets.sets().empty()) {
    ASSIGN_OR_RETURN(cgroups.entry, CgroupEntry(sets, options));
  }
  return cgroups;
}

}  // namespace

absl::StatusOr<PeekedCgroups> PeekCgroups(std::span<const Target> targets,
                                          const CgroupOptions& options) {
  ASSIGN_OR_RETURN(std::string dumpers, DumpersCgroups());
  ASSIGN_OR_RETURN(CgroupSets sets, CgroupSets::Create(dumpers, options.controllers));
  std::string known = dumpers;
  for (const Target& target : targets) {
    const absl::StatusOr<std::string> text = target.dir.ReadWhole("cgroup");
    if (!text.ok()) continue;  // It has ended, or the kernel has none.
    // Who is just ending is in the roots already.
    if (*text != known && (IsDead(target) || HasEnded(target))) continue;
    known = *text;
    RETURN_IF_ERROR(sets.NumberOf(*text).status());
  }
  ASSIGN_OR_RETURN(ResourceRefusals refusals, RefuseCgroups(sets, options));
  if (options.freeze_cgroup.empty()) {
    ASSIGN_OR_RETURN(ResourceRefusals frozen, RefuseFrozenCgroups(sets, options.yard));
    refusals.insert(refusals.end(), frozen.begin(), frozen.end());
  }
  if (const auto why_not = CgroupFreezer::WhyNot(options.freeze_cgroup)) {
    refusals.push_back(
        {0, absl::StrCat("cgroup ", options.freeze_cgroup), why_not->why, why_not->remedy});
  }
  for (ResourceRefusal& refusal : refusals) refusal.pid = targets.front().pid;
  return PeekedCgroups{std::move(dumpers), !sets.sets().empty(), std::move(refusals)};
}

std::future<absl::StatusOr<TreeCgroups>> ReadCgroupsBeside(const FrozenTree& tree,
                                                           const std::string& dumpers,
                                                           const CgroupOptions& options,
                                                           Helper& helper) {
  return helper.Do([&] { return ReadCgroups(tree, dumpers, options); });
}

}  // namespace dumpctl
