#include "dump/session/dump_session.h"

#include <sys/resource.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dump/image/image_directory.h"
#include "dump/image/page_sink.h"
#include "dump/mm/memory_source.h"
#include "dump/mm/page_drainer.h"
#include "dump/session/fault_points.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/heap.h"
#include "dump/session/preflight.h"
#include "dump/session/target.h"
#include "dump/session/task_images.h"
#include "dump/task/core_image.h"
#include "dump/tracee/frozen_task.h"
#include "dumpctl/failure.h"
#include "dumpctl/printable.h"
#include "dumpctl/status_macros.h"
#include "proc/bpf_vm_flags.h"
#include "proc/kernel_features.h"

namespace dumpctl {
namespace {

// A copy of every descriptor of the task is held while it is dumped.
void RaiseOpenFileLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// The phases of one dump, in the order in which they run.
class Session {
 public:
  Session(const DumpOptions& options, spdlog::logger& log, FaultPoints faults,
          KernelFeatures features, Target target)
      : options_(options),
        log_(log),
        faults_(std::move(faults)),
        features_(features),
        target_(std::move(target)) {}

  absl::StatusOr<DumpReport> Run() {
    const absl::Status status = RunPhases();
    if (!status.ok()) return ExplainByDeath(status, target_);
    report_.total = absl::Now() - begun_;
    return std::move(report_);
  }

 private:
  absl::Status RunPhases() {
    ASSIGN_OR_RETURN(Preflight preflight, LookOver());
    ASSIGN_OR_RETURN(ImageDirectory directory, OpenDirectory());
    ASSIGN_OR_RETURN(PageSink sink,
                     PageSink::Create(directory, static_cast<uint32_t>(target_.pid), 1));
    const std::optional<BpfVmFlags> by_bpf = TakeFlagsByBpf(preflight);
    ASSIGN_OR_RETURN(FrozenTask task, Freeze());
    ASSIGN_OR_RETURN(FrozenFacts facts, Question(task));
    auto flags = ReadFlagsBeside(task, by_bpf ? &*by_bpf : nullptr);
    RETURN_IF_ERROR(Collect(task, preflight, facts));
    RETURN_IF_ERROR(SaveMemory(task, facts, sink));
    RETURN_IF_ERROR(LearnFlags(task, flags.get(), facts));
    CloseFiles(preflight, facts);
    if (options_.outcome == Outcome::kRunning) RETURN_IF_ERROR(Release(task));
    RETURN_IF_ERROR(Serialise(facts, sink, directory));
    RETURN_IF_ERROR(Commit(directory));
    return Complete(task, facts);
  }

  // Before each step until the images are committed; from then on a dump is completed.
  absl::Status Begin(std::string_view step) const {
    RETURN_IF_ERROR(faults_.Reach(step));
    return options_.may_go_on ? options_.may_go_on() : absl::OkStatus();
  }

  absl::StatusOr<Preflight> LookOver() {
    RETURN_IF_ERROR(Begin("preflight"));
    log_.info("Preflight of process {} ({})", target_.pid, Printable(target_.comm));
    ASSIGN_OR_RETURN(Preflight preflight, RunPreflight(options_, target_, features_));
    if (!preflight.blockers.empty()) return RefusedStatus(preflight.blockers);
    return preflight;
  }

  // None where smaps is to be read.
  std::optional<BpfVmFlags> TakeFlagsByBpf(Preflight& preflight) {
    if (!preflight.flags_by_bpf.valid()) return std::nullopt;
    absl::StatusOr<BpfVmFlags> loaded = preflight.flags_by_bpf.get();
    if (loaded.ok()) return *std::move(loaded);
    log_.info("No VmFlags by BPF: {}", std::string(loaded.status().message()));
    return std::nullopt;
  }

  absl::StatusOr<ImageDirectory> OpenDirectory() {
    RETURN_IF_ERROR(Begin("images"));
    ASSIGN_OR_RETURN(ImageDirectory directory, ImageDirectory::Open(options_.images_dir));
    // What is written there comes last, when the process may be dead: so it is looked at first.
    RETURN_IF_ERROR(CheckWritable(kWorkDirectory, WorkDirectory()));
    if (!options_.pidfile.empty()) {
      const auto parent = std::filesystem::path(options_.pidfile).parent_path();
      RETURN_IF_ERROR(CheckWritable({"pid file's directory", "--pidfile"},
                                    parent.empty() ? "." : parent.string()));
    }
    return directory;
  }

  absl::StatusOr<FrozenTask> Freeze() {
    frozen_since_ = absl::Now();
    RETURN_IF_ERROR(Begin("freeze"));
    ASSIGN_OR_RETURN(
        FrozenTask task,
        FrozenTask::Freeze(target_.pid, frozen_since_ + options_.timeout, options_.may_go_on));
    report_.freezing = absl::Now() - frozen_since_;
    log_.info("Frozen: {} threads in {} us", task.threads().size(),
              absl::ToInt64Microseconds(report_.freezing));
    return task;
  }

  absl::StatusOr<FrozenFacts> Question(const FrozenTask& task) {
    RETURN_IF_ERROR(Begin("collect"));
    ASSIGN_OR_RETURN(FrozenFacts facts, ReadTaskFacts(task));
    RETURN_IF_ERROR(Begin("ask"));
    RETURN_IF_ERROR(AskTask(task, facts));
    return facts;
  }

  absl::Status Collect(const FrozenTask& task, Preflight& preflight, FrozenFacts& facts) {
    RETURN_IF_ERROR(ReadHoldings(task, target_, preflight, features_, facts));
    log_.info("Collected: {} mappings, {} descriptors, {} pages to save", facts.vmas.size(),
              facts.descriptors.size(), facts.pages.pages);
    return absl::OkStatus();
  }

  absl::Status SaveMemory(const FrozenTask& task, const FrozenFacts& facts, PageSink& sink) {
    RETURN_IF_ERROR(Begin("memory"));
    const absl::Time begun = absl::Now();
    RETURN_IF_ERROR(DrainMemory(task, facts, sink));
    report_.memory_read = report_.memory_written = absl::Now() - begun;
    report_.pages_written = facts.pages.pages;
    report_.pages_scanned = facts.pages.pages_scanned;
    log_.info("Saved {} pages in {} us", facts.pages.pages,
              absl::ToInt64Microseconds(report_.memory_read));
    return absl::OkStatus();
  }

  absl::Status DrainMemory(const FrozenTask& task, const FrozenFacts& facts, PageSink& sink) {
    ASSIGN_OR_RETURN(const FrozenTaskMemory memory,
                     FrozenTaskMemory::Open(target_.pid, task.dir(), facts.vmas));
    return DrainPages(memory, facts.pages.runs, sink, [this](uint64_t done, uint64_t total) {
      if (options_.progress) options_.progress(done, total);
      return options_.may_go_on ? options_.may_go_on() : absl::OkStatus();
    });
  }

  absl::Status LearnFlags(const FrozenTask& task, absl::StatusOr<ReadFlags> read,
                          FrozenFacts& facts) {
    RETURN_IF_ERROR(read.status());
    absl::Status learnt = facts.vmas.LearnFlags(read->flags);
    if (!learnt.ok() && read->by_bpf) {
      log_.info("VmFlags by BPF are of other mappings: {}", std::string(learnt.message()));
      read = ReadFlagsFromSmaps(task);
      RETURN_IF_ERROR(read.status());
      learnt = facts.vmas.LearnFlags(read->flags);
    }
    RETURN_IF_ERROR(learnt);
    log_.info("VmFlags of {} mappings by {}", read->flags.size(), read->by_bpf ? "BPF" : "smaps");
    return absl::OkStatus();
  }

  // The close pass.
  void CloseFiles(Preflight& preflight, FrozenFacts& facts) {
    size_t files = 0;
    for (const Vma& vma : facts.vmas) files += vma.owns_file() || vma.borrows_file() ? 1 : 0;
    VmaList::Counts counts = facts.vmas.counts();
    VmaList::CloseCounts closed = facts.vmas.Close();
    report_.files_opened = counts.opened;
    report_.map_files_opens = counts.calls.opens;
    report_.map_files_stats = counts.calls.stats;
    if (preflight.vmas) {
      counts = preflight.vmas->counts();
      report_.files_opened += counts.opened;
      report_.map_files_opens += counts.calls.opens;
      report_.map_files_stats += counts.calls.stats;
      const VmaList::CloseCounts early = preflight.vmas->Close();
      closed.closed += early.closed;
      closed.skipped += early.skipped;
    }
    report_.files_borrowed = files > report_.files_opened ? files - report_.files_opened : 0;
    report_.files_closed = closed.closed;
    report_.files_skipped = closed.skipped;
    log_.info("Close pass: {} descriptors closed, {} borrowed ones skipped", closed.closed,
              closed.skipped);
  }

  absl::Status Release(FrozenTask& task) {
    if (options_.outcome == Outcome::kRunning) {
      RETURN_IF_ERROR(Begin("resume"));
    } else {
      RETURN_IF_ERROR(faults_.Reach("resume"));
    }
    switch (options_.outcome) {
      case Outcome::kRunning:
        RETURN_IF_ERROR(task.Resume());
        break;
      case Outcome::kStopped:
        RETURN_IF_ERROR(task.LeaveStopped());
        break;
      case Outcome::kKilled:
        report_.died = IsDead(target_);
        RETURN_IF_ERROR(task.Kill());
        break;
    }
    report_.frozen = absl::Now() - frozen_since_;
    log_.info("Released after {} us", absl::ToInt64Microseconds(report_.frozen));
    return absl::OkStatus();
  }

  absl::Status Serialise(const FrozenFacts& facts, const PageSink& sink,
                         ImageDirectory& directory) {
    RETURN_IF_ERROR(Begin("serialise"));
    ASSIGN_OR_RETURN(const TaskImages images, BuildImages(facts, sink, features_));
    if (!images.refusals.empty()) return RefusedStatus(images.refusals);
    report_.bytes_written = sink.offset();
    for (const ImageWriter& image : images.images) {
      RETURN_IF_ERROR(directory.Write(image));
      report_.bytes_written += image.bytes().size();
      log_.debug("Wrote {} ({} bytes)", image.name(), image.bytes().size());
    }
    return absl::OkStatus();
  }

  absl::Status Commit(ImageDirectory& directory) {
    RETURN_IF_ERROR(Begin("commit"));
    RETURN_IF_ERROR(directory.Commit(false));
    log_.info("Committed {} bytes of images to {}", report_.bytes_written, options_.images_dir);
    return absl::OkStatus();
  }

  // The dump stands, whatever goes wrong now: an error says so.
  absl::Status Complete(FrozenTask& task, const FrozenFacts& facts) {
    const std::string process =
        absl::StrCat("process ", target_.pid, " (", Printable(target_.comm), ")");
    if (options_.outcome != Outcome::kRunning) {
      const char* const fate = options_.outcome == Outcome::kKilled ? "killed" : "left stopped";
      const absl::Status released = Release(task);
      if (!released.ok()) {
        return Unfinished(absl::StrCat(process, " could not be ", fate, " and goes on"), released);
      }
    }
    const absl::Status finished = Finish(facts);
    if (finished.ok()) return finished;
    return Unfinished(absl::StrCat("not all could be told of it, and ", process, " ", Fate()),
                      finished);
  }

  const char* Fate() const {
    if (report_.died) return "has died";
    if (options_.outcome == Outcome::kKilled) return "was killed";
    return options_.outcome == Outcome::kStopped ? "is stopped" : "runs on";
  }

  absl::Status Unfinished(std::string_view what, const absl::Status& why) const {
    return MakeFailure(Failure::kUnfinished, why.code(),
                       absl::StrCat("the dump in ", options_.images_dir, " is whole, but ",
                                    std::string(what), ": ", std::string(why.message())));
  }

  // What is left is to tell of it.
  absl::Status Finish(const FrozenFacts& facts) {
    RETURN_IF_ERROR(faults_.Reach("finish"));
    if (options_.outcome != Outcome::kKilled) report_.died = IsDead(target_);
    report_.pid = target_.pid;
    report_.comm = target_.comm;
    report_.images_dir = options_.images_dir;
    report_.outcome = options_.outcome;
    report_.tasks = 1;
    report_.threads = facts.threads.size();
    report_.descriptors = facts.descriptors.size();
    report_.vmas = facts.vmas.size();
    report_.not_captured = NotCaptured(facts.process);
    ASSIGN_OR_RETURN(const ImageWriter stats, StatsImage(report_));
    const absl::Status written = WriteImageInto(WorkDirectory(), stats);
    // The process may be dead: a failure now would be taken for that of the dump.
    if (!written.ok()) log_.warn("No statistics: {}", std::string(written.message()));
    if (options_.pidfile.empty()) return absl::OkStatus();
    return WritePidfile(options_.pidfile, target_.pid);
  }

  const std::string& WorkDirectory() const {
    return options_.work_dir.empty() ? options_.images_dir : options_.work_dir;
  }

  const DumpOptions& options_;
  spdlog::logger& log_;
  FaultPoints faults_;
  KernelFeatures features_;
  Target target_;
  DumpReport report_;
  absl::Time begun_ = absl::Now();
  absl::Time frozen_since_;
};

}  // namespace

absl::StatusOr<DumpReport> Dump(const DumpOptions& options, spdlog::logger& log) {
  ASSIGN_OR_RETURN(FaultPoints faults, FaultPoints::Parse(options.fault));
  ASSIGN_OR_RETURN(const KernelFeatures features, KernelFeatures::Probe(options.kernel_features));
  RaiseOpenFileLimit();
  constexpr size_t kSmallDump = 1 << 20;
  ReserveHeap(kSmallDump);
  ASSIGN_OR_RETURN(Target target, FindTarget(options.pid));
  return Session(options, log, std::move(faults), features, std::move(target)).Run();
}

}  // namespace dumpctl
