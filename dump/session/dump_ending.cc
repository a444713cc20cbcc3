#include "dump/session/dump_ending.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dump/image/dedup.h"
#include "dump/image/image_directory.h"
#include "dump/session/tree_images.h"
#include "dump/session/tree_terminals.h"
#include "dump/task/core_image.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"

namespace dumpctl {
namespace {

void AddNotCaptured(DumpReport& report, const FrozenFacts& facts, const Target& root) {
  const ProcessFacts& process = facts.process;
  std::vector<std::string> all = NotCaptured(process);
  for (const std::string& kind : facts.others_of_children) {
    all.push_back(absl::StrCat("that its children come into another ", kind,
                               " namespace (unshare(2)): restored, they come into its own"));
  }
  for (std::string& words : all) {
    if (process.pid != root.pid) words = absl::StrCat("of process ", process.pid, ": ", words);
    report.not_captured.push_back(std::move(words));
  }
}

void AddNotCaptured(DumpReport& report, const TreeFacts& facts, const Target& root) {
  for (const FrozenFacts& task : facts.tasks) AddNotCaptured(report, task, root);
  for (std::string& words : NotCaptured(facts.sysv)) {
    report.not_captured.push_back(std::move(words));
  }
  if (facts.port_programs_untold) {
    report.not_captured.emplace_back(
        "which program chooses among the sockets of a port (SO_ATTACH_REUSEPORT_EBPF), if any: "
        "this kernel does not tell");
  }
  for (std::string& words : LostTerminals(facts.tasks)) {
    report.not_captured.push_back(std::move(words));
  }
}

}  // namespace

void LeaveTrace(const DumpTrace& trace, const std::string& path, const TraceSubject& subject,
                const absl::Status& outcome, Log& log) {
  const absl::Status written = trace.Write(path, subject, outcome);
  if (!written.ok()) {
    log.Warn(absl::StrCat("No trace: ", written.message()));
  } else if (trace.dropped() > 0) {
    log.Warn(absl::StrCat("The trace is not whole: ", trace.dropped(),
                          " spans found no room among ", trace.most(),
                          " (those of the phases have their own)"));
  }
}

void KeepTracking(DumpRun& run, PageTracking& tracking, const Target& root,
                  const std::string& run_id) {
  const absl::Status kept = tracking.Keep(root, run_id);
  run.report.tracked = kept.ok() && tracking.tracks();
  if (!kept.ok()) {
    run.log.Warn(absl::StrCat("Nothing is tracked for the next dump: ", kept.message()));
  }
  if (!run.options.auto_dedup || tracking.parent() == nullptr) return;
  const absl::StatusOr<DedupCounts> freed = DedupParents(run.options.images_dir, tracking.parent());
  if (!freed.ok()) {
    run.log.Warn(absl::StrCat("Not all superseded pages are freed: ", freed.status().message()));
  } else {
    run.log.Info(absl::StrCat("Freed ", freed->pages, " superseded pages in previous images"));
  }
}

absl::Status TellOfDump(DumpRun& run, const TreeFacts& facts, const Target& root) {
  const TraceSpan span(TraceKind::kPhase, "finish");
  RETURN_IF_ERROR(run.faults.Reach("finish"));
  DumpReport& report = run.report;
  if (run.options.outcome != Outcome::kKilled) report.died = IsDead(root);
  report.pid = root.pid;
  report.comm = root.stat.comm;
  report.images_dir = run.Destination();
  report.outcome = run.options.outcome;
  report.tasks = facts.tasks.size();
  AddNotCaptured(report, facts, root);
  RETURN_IF_ERROR(WriteStatistics(run));
  if (run.options.pidfile.empty()) return absl::OkStatus();
  return WritePidfile(run.options.pidfile, root.pid);
}

absl::Status WriteStatistics(DumpRun& run) {
  ASSIGN_OR_RETURN(const ImageWriter stats, StatsImage(run.report));
  const std::string& directory = run.WorkDirectory();
  if (directory.empty()) return absl::OkStatus();
  const absl::Status written = WriteInto(kWorkDirectory, directory, stats.name(), stats.bytes());
  // The process may be dead: a failure now would be taken for that of the dump.
  if (!written.ok()) run.log.Warn(absl::StrCat("No statistics: ", written.message()));
  return absl::OkStatus();
}

absl::Status Unfinished(const DumpRun& run, std::string_view what, const absl::Status& why) {
  return MakeFailure(Failure::kUnfinished, why.code(),
                     absl::StrCat("the dump in ", run.Destination(), " is whole, but ",
                                  std::string(what), ": ", std::string(why.message())));
}

const char* Fate(const DumpRun& run) {
  if (run.report.died) return "has died";
  if (run.options.outcome == Outcome::kKilled) return "was killed";
  return run.options.outcome == Outcome::kStopped ? "is stopped" : "runs on";
}

const char* FateToBe(Outcome outcome) {
  if (outcome == Outcome::kKilled) return "killed";
  return outcome == Outcome::kStopped ? "left stopped" : "let go in order";
}

}  // namespace dumpctl
