#include "dump/session/close_pass.h"

#include <unistd.h>

#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dump/fd/descriptor.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

void CloseList(VmaList& vmas, DumpReport& report) {
  const VmaList::Counts counts = vmas.counts();
  report.files_opened += counts.opened;
  report.map_files_opens += counts.calls.opens;
  report.map_files_stats += counts.calls.stats;
  const VmaList::CloseCounts closed = vmas.Close();
  report.files_closed += closed.closed;
  report.files_skipped += closed.skipped;
}

}  // namespace

void CloseFiles(DumpRun& run, Preflight& preflight, TreeFacts& facts) {
  const TraceSpan span(TraceKind::kPhase, "close");
  DumpReport& report = run.report;
  size_t files = 0;
  for (FrozenFacts& task : facts.tasks) {
    for (const Vma& vma : task.vmas) files += vma.owns_file() || vma.borrows_file() ? 1 : 0;
    CloseList(task.vmas, report);
  }
  for (auto& [pid, task] : preflight.tasks) {
    if (task.vmas) CloseList(*task.vmas, report);
  }
  report.files_borrowed = files > report.files_opened ? files - report.files_opened : 0;
  run.log.Info(absl::StrCat("Close pass: ", report.files_closed, " descriptors closed, ",
                            report.files_skipped, " borrowed ones skipped"));
}

absl::Status LetGoOfFiles(const KernelFeatures& features, TreeFacts& facts) {
  const TraceSpan span(TraceKind::kWork, "let go of files");
  facts.asked.clear();
  std::vector<std::vector<Descriptor>*> tables = {&facts.queued};
  for (FrozenFacts& task : facts.tasks) {
    if (task.descriptors) tables.push_back(&*task.descriptors);
  }
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
  return SettleCopies(self, features.Has(KernelFeature::kDupfdQuery), tables);
}

}  // namespace dumpctl
