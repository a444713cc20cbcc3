#include "dump/session/collect_phases.h"

#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dump/session/tree_questions.h"
#include "dump/session/write_once.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"

namespace dumpctl {
namespace {

void CountFacts(DumpReport& report, const TreeFacts& facts) {
  for (const FrozenFacts& task : facts.tasks) {
    report.threads += task.threads.size();
    report.descriptors += task.descriptors ? task.descriptors->size() : 0;
    report.vmas += task.vmas.size();
  }
}

void TellOfRows(const DumpRun& run, const FrozenTree& tree) {
  size_t rows = 0;
  for (const FrozenTask& task : tree.tasks()) {
    for (const FrozenThread& thread : task.threads()) rows += thread.row ? 1 : 0;
  }
  run.log.Info(rows > 0 ? absl::StrCat("State of ", rows, " threads by BPF")
                        : "State of threads one by one");
}

void TellOfDescriptors(const DumpRun& run, const Preflight& preflight) {
  run.log.Info(preflight.open_files ? "Descriptors by BPF" : "Descriptors one by one");
}

void TellOfSockets(const DumpRun& run, const UnixSockets& read) {
  const size_t sockets = read.sockets().size();
  const size_t asked = read.asked_for_others();
  if (sockets == 0) return;
  run.log.Info(absl::StrCat(
      "Options of ", sockets, " unix sockets ",
      asked > 0 ? absl::StrCat("by BPF, of which ", asked, " were asked") : "one by one"));
}

}  // namespace

absl::StatusOr<TreeFacts> Question(const DumpRun& run, const FrozenTree& tree,
                                   PageTracking& tracking, const Target& root) {
  TraceSpan collect(TraceKind::kPhase, "collect");
  RETURN_IF_ERROR(run.Begin("collect"));
  TreeFacts facts{.zombies = tree.zombies()};
  for (const FrozenTask& task : tree.tasks()) {
    ASSIGN_OR_RETURN(FrozenFacts read, ReadTaskFacts(task, facts.seccomp));
    facts.tasks.push_back(std::move(read));
  }
  collect.End();
  TellOfRows(run, tree);
  const TraceSpan ask(TraceKind::kPhase, "ask");
  RETURN_IF_ERROR(run.Begin("ask"));
  RETURN_IF_ERROR(AskTasks(tree.tasks(), facts.tasks));
  RETURN_IF_ERROR(run.Begin("track"));
  RETURN_IF_ERROR(tracking.Watch(tree, root));
  return facts;
}

absl::Status Collect(DumpRun& run, const FrozenTree& tree, Preflight& preflight,
                     const BpfVmFlags* by_bpf, const KernelFeatures& features,
                     PageTracking& tracking, SideFactsRead side, TreeFacts& facts) {
  const TraceSpan span(TraceKind::kPhase, "holdings");
  RETURN_IF_ERROR(run.Begin("holdings"));
  RETURN_IF_ERROR(ReadHoldings(tree, preflight, by_bpf, features, std::move(side), facts));
  for (size_t i = 0; i < facts.tasks.size(); ++i) {
    FrozenFacts& task = facts.tasks[i];
    RETURN_IF_ERROR(tracking.Split(tree.tasks()[i], task.vmas, task.pages));
  }
  RETURN_IF_ERROR(tracking.ClearBits(tree));
  CountFacts(run.report, facts);
  CountPages(facts, run.report);
  TellOfDescriptors(run, preflight);
  TellOfSockets(run, facts.unix_sockets);
  run.log.Info(absl::StrCat("Collected: ", run.report.vmas, " mappings, ", run.report.descriptors,
                            " descriptors, ", run.report.pages_written, " pages to save"));
  return absl::OkStatus();
}

absl::Status ShareOut(DumpRun& run, const FrozenTree& tree, TreeFacts& facts) {
  const TraceSpan span(TraceKind::kPhase, "share");
  RETURN_IF_ERROR(run.Begin("share"));
  const absl::Time begun = absl::Now();
  RETURN_IF_ERROR(FindFamilies(tree, facts));
  const SharedPages& shared = facts.shared_pages;
  // Where frames are not shown, nothing is found.
  if (!shared.families.empty()) {
    for (FrozenFacts& task : facts.tasks) task.may_share = task.may_share_outside;
  }
  DumpReport& report = run.report;
  for (const PageFamily& family : shared.families) report.pages_written_once += family.pages;
  report.pages_not_repeated = shared.references - report.pages_written_once;
  CountPages(facts, report);
  run.log.Info(absl::StrCat("Shared: ", report.pages_written_once, " pages of ",
                            shared.families.size(), " families, which have ", shared.references,
                            ", found in ", absl::ToInt64Microseconds(absl::Now() - begun), " us"));
  return absl::OkStatus();
}

void AddPages(const ScannedPages& pages, DumpReport& report) {
  report.pages_written += pages.pages;
  report.pages_scanned += pages.pages_scanned;
  report.pages_in_parent += pages.pages_in_parent;
}

void CountPages(const TreeFacts& facts, DumpReport& report) {
  report.pages_written = report.pages_pre_copied;
  report.pages_scanned = report.pages_in_parent = 0;
  for (const FrozenFacts& task : facts.tasks) AddPages(task.pages, report);
  for (const auto& [id, object] : facts.shared_memory) report.pages_written += object.pages;
  for (const PageFamily& family : facts.shared_pages.families) report.pages_written += family.pages;
}

}  // namespace dumpctl
