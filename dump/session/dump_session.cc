#include "dump/session/dump_session.h"

#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dump/image/dedup.h"
#include "dump/image/image_archive.h"
#include "dump/image/image_directory.h"
#include "dump/image/image_streamer.h"
#include "dump/image/page_server_client.h"
#include "dump/image/page_sink.h"
#include "dump/session/action_scripts.h"
#include "dump/session/cgroup_freezer.h"
#include "dump/session/drain_tree.h"
#include "dump/session/fault_points.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/heap.h"
#include "dump/session/helper.h"
#include "dump/session/link_remaps.h"
#include "dump/session/page_tracking.h"
#include "dump/session/preflight.h"
#include "dump/session/run_setup.h"
#include "dump/session/snapshot.h"
#include "dump/session/target.h"
#include "dump/session/tcp_connections.h"
#include "dump/session/trace_file.h"
#include "dump/session/tree_ghosts.h"
#include "dump/session/tree_images.h"
#include "dump/session/tree_terminals.h"
#include "dump/session/write_once.h"
#include "dump/task/core_image.h"
#include "dump/tracee/frozen_tree.h"
#include "dumpctl/failure.h"
#include "dumpctl/printable.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/bpf_vm_flags.h"
#include "proc/kernel_features.h"

namespace dumpctl {
namespace {

// Copies are for who runs on at once: not for who is to stand while scripts look at it.
SnapshotOptions SnapshotOptionsOf(const DumpOptions& options, const ActionScripts& scripts) {
  SnapshotOptions snapshot = options.snapshot;
  if (options.outcome != Outcome::kRunning || !scripts.empty()) snapshot.mode = SnapshotMode::kOff;
  // Who reads a stream may be slow.
  if (!options.output.empty() || snapshot.mode == SnapshotMode::kCow) snapshot.worth = 1;
  return snapshot;
}

absl::Status CheckSnapshotMode(const DumpOptions& options) {
  if (options.snapshot.mode != SnapshotMode::kCow) return absl::OkStatus();
  const char* why = nullptr;
  if (options.outcome != Outcome::kRunning) {
    why = "it is for --leave-running";
  } else if (!options.action_scripts.empty()) {
    why = "action scripts (--action-script) find the process standing still";
  } else if (!options.cgroups.freeze_cgroup.empty()) {
    why = "a cgroup that --freeze-cgroup names may be frozen already, and stay so";
  }
  if (why == nullptr) return absl::OkStatus();
  return MakeFailure(Failure::kUsage, absl::StatusCode::kInvalidArgument,
                     absl::StrCat("--snapshot=cow: ", why, "; leave it out, or say auto"));
}

absl::Status NoSnapshot(const std::string& why) {
  return MakeFailure(Failure::kRefused, absl::StatusCode::kUnimplemented,
                     absl::StrCat("refused, with all put back: no copy of ", why,
                                  "; dump it with --snapshot=auto, which writes such memory while "
                                  "the process stands"));
}

// What another thread has found.
template <typename T>
T Await(std::future<T>& found) {
  const TraceSpan span(TraceKind::kPhase, "wait");
  return found.get();
}

// The phases of one dump, in the order in which they run.
class Session {
 public:
  Session(const DumpOptions& options, Log& log, FaultPoints faults, KernelFeatures features,
          PageTracking tracking, std::vector<Target> targets)
      : options_(options),
        scripts_(options),
        log_(log),
        faults_(std::move(faults)),
        features_(features),
        tracking_(std::move(tracking)),
        targets_(std::move(targets)),
        snapshot_(SnapshotOptionsOf(options, scripts_)) {}

  // Of what it was, with its threads all ended.
  TraceSubject traced() const { return {root().pid, root().stat.comm}; }
  bool froze() const { return frozen_since_ != absl::Time(); }

  absl::StatusOr<DumpReport> Run() {
    const absl::Status status = RunPhases();
    standing_.reset();
    if (!status.ok()) return ExplainByDeath(status, needed());
    report_.total = absl::Now() - begun_;
    return std::move(report_);
  }

 private:
  absl::Status RunPhases() {
    RETURN_IF_ERROR(PrepareSnapshot());
    ASSIGN_OR_RETURN(Preflight preflight, LookOver());
    ASSIGN_OR_RETURN(const std::unique_ptr<ImageSink> images, OpenImages());
    const bool once = WritesOnce(options_, *images);
    std::vector<PageSink> sinks;
    RETURN_IF_ERROR(OpenSinks(*images, targets_.size() + preflight.shared_memory.size(), sinks));
    const std::optional<BpfVmFlags> by_bpf = TakeFlagsByBpf(preflight);
    CgroupFreezer freezer(options_.cgroups.freeze_cgroup);
    Helper helper;
    ASSIGN_OR_RETURN(FrozenTree tree, Freeze(freezer));
    // Before the tree is let go, whichever way that comes about.
    const absl::Cleanup put_back = [&freezer] { freezer.PutBack().IgnoreError(); };
    const absl::Cleanup helped = [&helper] { helper.Finish(); };
    auto cgroups = ReadCgroupsBeside(tree, options_.cgroups, helper);
    ASSIGN_OR_RETURN(TreeFacts facts, Question(tree));
    TcpConnections connections;
    auto flags = ReadFlagsBeside(tree, by_bpf ? &*by_bpf : nullptr, helper);
    RETURN_IF_ERROR(Collect(tree, preflight, facts));
    if (once) RETURN_IF_ERROR(ShareOut(tree, facts));
    RETURN_IF_ERROR(ReadConnections(tree, facts, connections));
    // For those that have come since the tree was looked over.
    RETURN_IF_ERROR(OpenSinks(*images, facts.tasks.size() + facts.shared_memory.size(), sinks));
    RETURN_IF_ERROR(OpenFamilySinks(*images, facts, sinks));
    if (snapshot_.prepared() && MayCopy(freezer)) {
      RETURN_IF_ERROR(LearnFlags(tree, Await(flags), facts));
      RETURN_IF_ERROR(TakeSnapshot(tree, facts));
    }
    RETURN_IF_ERROR(SaveMemory(tree, facts, sinks));
    RETURN_IF_ERROR(SaveNameless(tree, facts, *images));
    if (flags.valid()) RETURN_IF_ERROR(LearnFlags(tree, Await(flags), facts));
    ASSIGN_OR_RETURN(facts.cgroups, Await(cgroups));
    CloseFiles(preflight, facts);
    // Scripts find it standing still.
    const bool runs_early = options_.outcome == Outcome::kRunning && scripts_.empty();
    if (runs_early) RETURN_IF_ERROR(Release(tree, freezer, connections));
    if (snapshot_.copies() > 0) RETURN_IF_ERROR(SaveCopies(facts, sinks));
    AccountInParent(facts, sinks);
    LinkRemaps links;
    RETURN_IF_ERROR(Serialise(facts, sinks, *images, links));
    RETURN_IF_ERROR(Commit(*images));
    links.Keep();
    KeepTracking(facts);
    return Complete(tree, freezer, facts, connections, runs_early);
  }

  // Before each step until the images are committed; from then on a dump is completed.
  absl::Status Begin(std::string_view step) const {
    RETURN_IF_ERROR(faults_.Reach(step));
    return options_.may_go_on ? options_.may_go_on() : absl::OkStatus();
  }

  absl::StatusOr<Preflight> LookOver() {
    const TraceSpan span(TraceKind::kPhase, "preflight");
    RETURN_IF_ERROR(Begin("preflight"));
    log_.Info(absl::StrCat("Preflight of process ", root().pid, " (", Printable(root().stat.comm),
                           "): ", targets_.size(), " in the tree"));
    ASSIGN_OR_RETURN(Preflight preflight, RunPreflight(options_, targets_, features_));
    if (!preflight.blockers.empty()) return RefusedStatus(preflight.blockers, false);
    RETURN_IF_ERROR(tracking_.ReadParent(targets_));
    return preflight;
  }

  // None where smaps is to be read.
  std::optional<BpfVmFlags> TakeFlagsByBpf(Preflight& preflight) {
    if (!preflight.flags_by_bpf.valid()) return std::nullopt;
    absl::StatusOr<BpfVmFlags> loaded = Await(preflight.flags_by_bpf);
    if (loaded.ok()) return *std::move(loaded);
    log_.Info(absl::StrCat("No VmFlags by BPF: ", loaded.status().message()));
    return std::nullopt;
  }

  absl::StatusOr<std::unique_ptr<ImageSink>> OpenDestination() const {
    if (!options_.output.empty()) {
      return ImageArchive::Open(options_.output, options_.timeout, options_.may_go_on);
    }
    if (options_.stream) {
      return ImageStreamer::Open(options_.images_dir, options_.timeout, options_.may_go_on);
    }
    ASSIGN_OR_RETURN(ImageDirectory directory, ImageDirectory::Open(options_.images_dir));
    if (options_.page_server) RETURN_IF_ERROR(directory.LeavePages());
    if (const ParentImages* const parent = tracking_.parent()) {
      RETURN_IF_ERROR(directory.LinkParent(parent->path()));
    }
    return std::make_unique<ImageDirectory>(std::move(directory));
  }

  absl::StatusOr<std::unique_ptr<ImageSink>> OpenImages() {
    const TraceSpan span(TraceKind::kPhase, "images");
    RETURN_IF_ERROR(Begin("images"));
    ASSIGN_OR_RETURN(std::unique_ptr<ImageSink> images, OpenDestination());
    if (options_.page_server) {
      ASSIGN_OR_RETURN(page_server_, PageServerClient::Connect(
                                         *options_.page_server,
                                         {ImageKind::kPagemap, static_cast<uint32_t>(root().pid)},
                                         options_.timeout, options_.may_go_on));
    }
    // What is written there comes last, when the process may be dead: so it is looked at first.
    if (!WorkDirectory().empty()) RETURN_IF_ERROR(CheckWritable(kWorkDirectory, WorkDirectory()));
    if (!options_.pidfile.empty()) {
      const auto parent = std::filesystem::path(options_.pidfile).parent_path();
      RETURN_IF_ERROR(CheckWritable({"pid file's directory", "--pidfile"},
                                    parent.empty() ? "." : parent.string()));
    }
    if (!options_.trace.empty()) RETURN_IF_ERROR(CheckTraceFile(options_.trace));
    return images;
  }

  absl::StatusOr<FrozenTree> Freeze(CgroupFreezer& freezer) {
    frozen_since_ = absl::Now();
    standing_.emplace(TraceKind::kFrozen, "frozen");
    const TraceSpan span(TraceKind::kPhase, "freeze");
    RETURN_IF_ERROR(Begin("freeze"));
    const absl::Time deadline = frozen_since_ + options_.timeout;
    RETURN_IF_ERROR(freezer.Freeze(deadline, options_.may_go_on));
    if (freezer.was_frozen()) {
      report_.not_captured.push_back(
          absl::StrCat("that cgroup ", Printable(options_.cgroups.freeze_cgroup), " is frozen"));
    }
    std::function<absl::Status()> thaw;
    if (freezer.active()) thaw = [&freezer] { return freezer.Thaw(); };
    ASSIGN_OR_RETURN(FrozenTree tree,
                     FrozenTree::Freeze(root().pid, deadline, options_.may_go_on, thaw));
    report_.freezing = absl::Now() - frozen_since_;
    std::set<pid_t> standing;
    for (const FrozenTask& task : tree.tasks()) standing.insert(task.pid());
    std::erase_if(targets_, [&](const Target& target) { return !standing.contains(target.pid); });
    all_needed_ = true;
    log_.Info(absl::StrCat("Frozen: ", tree.tasks().size(), " processes, ", tree.threads(),
                           " threads in ", absl::ToInt64Microseconds(report_.freezing), " us"));
    return tree;
  }

  absl::StatusOr<TreeFacts> Question(const FrozenTree& tree) {
    TraceSpan collect(TraceKind::kPhase, "collect");
    RETURN_IF_ERROR(Begin("collect"));
    TreeFacts facts{.zombies = tree.zombies()};
    for (const FrozenTask& task : tree.tasks()) {
      ASSIGN_OR_RETURN(FrozenFacts read, ReadTaskFacts(task, facts.seccomp));
      facts.tasks.push_back(std::move(read));
    }
    collect.End();
    const TraceSpan ask(TraceKind::kPhase, "ask");
    RETURN_IF_ERROR(Begin("ask"));
    for (size_t i = 0; i < facts.tasks.size(); ++i) {
      RETURN_IF_ERROR(AskTask(tree.tasks()[i], facts.tasks[i]));
    }
    RETURN_IF_ERROR(Begin("track"));
    RETURN_IF_ERROR(tracking_.Watch(tree, root()));
    return facts;
  }

  absl::Status Collect(const FrozenTree& tree, Preflight& preflight, TreeFacts& facts) {
    const TraceSpan span(TraceKind::kPhase, "holdings");
    RETURN_IF_ERROR(Begin("holdings"));
    RETURN_IF_ERROR(ReadHoldings(tree, preflight, features_, facts));
    for (size_t i = 0; i < facts.tasks.size(); ++i) {
      FrozenFacts& task = facts.tasks[i];
      RETURN_IF_ERROR(tracking_.Split(tree.tasks()[i], task.vmas, task.pages));
      report_.pages_in_parent += task.pages.pages_in_parent;
    }
    for (const FrozenFacts& task : facts.tasks) {
      report_.threads += task.threads.size();
      report_.descriptors += task.descriptors ? task.descriptors->size() : 0;
      report_.vmas += task.vmas.size();
      report_.pages_written += task.pages.pages;
      report_.pages_scanned += task.pages.pages_scanned;
    }
    for (const auto& [id, object] : facts.shared_memory) report_.pages_written += object.pages;
    log_.Info(absl::StrCat("Collected: ", report_.vmas, " mappings, ", report_.descriptors,
                           " descriptors, ", report_.pages_written, " pages to save"));
    return absl::OkStatus();
  }

  // What tasks share is taken from them, to be written once.
  absl::Status ShareOut(const FrozenTree& tree, TreeFacts& facts) {
    RETURN_IF_ERROR(Begin("share"));
    const absl::Time begun = absl::Now();
    RETURN_IF_ERROR(FindFamilies(tree, facts));
    const SharedPages& shared = facts.shared_pages;
    for (const PageFamily& family : shared.families) report_.pages_written_once += family.pages;
    report_.pages_not_repeated = shared.references - report_.pages_written_once;
    report_.pages_written -= report_.pages_not_repeated;
    log_.Info(absl::StrCat("Shared: ", report_.pages_written_once, " pages of ",
                           shared.families.size(), " families, which have ", shared.references,
                           ", found in ", absl::ToInt64Microseconds(absl::Now() - begun), " us"));
    return absl::OkStatus();
  }

  absl::Status ReadConnections(const FrozenTree& tree, TreeFacts& facts,
                               TcpConnections& connections) {
    const TraceSpan span(TraceKind::kPhase, "lock");
    RETURN_IF_ERROR(Begin("lock"));
    ASSIGN_OR_RETURN(facts.run_id, NewRunId());
    if (!options_.inet.tcp_established) return absl::OkStatus();
    ASSIGN_OR_RETURN(facts.network_lock,
                     connections.Read(facts.inet_sockets, options_.network_lock, facts.run_id,
                                      tree.tasks().front().pidfd()));
    if (connections.size() > 0)
      log_.Info(absl::StrCat("Read ", connections.size(), " connections of TCP"));
    return absl::OkStatus();
  }

  // Sinks for so many tasks and objects of shared memory. Which they are is known when all stand.
  absl::Status OpenSinks(ImageSink& images, size_t tasks, std::vector<PageSink>& sinks) {
    while (sinks.size() < tasks) {
      const auto number = static_cast<uint32_t>(sinks.size()) + 1;
      if (page_server_ != nullptr) {
        sinks.push_back(PageSink::ToStream(*page_server_, number));
        continue;
      }
      ASSIGN_OR_RETURN(PageSink sink, images.CreatePages(number));
      if (options_.direct && !sink.WriteDirectly() && sinks.empty()) {
        log_.Warn("The file system takes no O_DIRECT: pages go through its cache");
      }
      sinks.push_back(std::move(sink));
    }
    return absl::OkStatus();
  }

  // The same for families, among the parent images, right behind those: some tasks of the tree that
  // was looked over may be no more.
  absl::Status OpenFamilySinks(ImageSink& images, const TreeFacts& facts,
                               std::vector<PageSink>& sinks) {
    const size_t own = facts.tasks.size() + facts.shared_memory.size();
    sinks.erase(sinks.begin() + static_cast<std::ptrdiff_t>(own), sinks.end());
    for (uint32_t id = 1; id <= facts.shared_pages.families.size(); ++id) {
      ASSIGN_OR_RETURN(PageSink sink, images.directory()->CreatePagesInParent(id));
      sinks.push_back(std::move(sink));
    }
    return absl::OkStatus();
  }

  absl::Status PrepareSnapshot() {
    const absl::Status status = snapshot_.Prepare(targets_);
    if (status.ok()) return status;
    if (options_.snapshot.mode == SnapshotMode::kCow) return status;
    log_.Info(absl::StrCat("No copies: ", status.message()));
    return absl::OkStatus();
  }

  // Who is to be frozen again at once cannot wait for a copy.
  bool MayCopy(const CgroupFreezer& freezer) {
    if (freezer.was_frozen()) log_.Info("No copies: the cgroup was frozen before");
    return !freezer.was_frozen();
  }

  absl::Status TakeSnapshot(const FrozenTree& tree, const TreeFacts& facts) {
    const TraceSpan span(TraceKind::kPhase, "snapshot");
    RETURN_IF_ERROR(Begin("snapshot"));
    const absl::Time begun = absl::Now();
    ASSIGN_OR_RETURN(const std::vector<std::string> not_copied, snapshot_.Take(tree, facts));
    for (const std::string& words : not_copied) {
      if (options_.snapshot.mode == SnapshotMode::kCow) return NoSnapshot(words);
      log_.Info(absl::StrCat("Not copied: ", words));
    }
    log_.Info(absl::StrCat("Copied ", snapshot_.copies(), " processes in ",
                           absl::ToInt64Microseconds(absl::Now() - begun), " us"));
    return absl::OkStatus();
  }

  // What the tree, which runs on, had in memory when it stood.
  absl::Status SaveCopies(const TreeFacts& facts, std::vector<PageSink>& sinks) {
    const TraceSpan span(TraceKind::kPhase, "copies");
    RETURN_IF_ERROR(Begin("copies"));
    const absl::Time begun = absl::Now();
    RETURN_IF_ERROR(DrainSnapshot(facts, snapshot_, sinks, MemoryProgress()));
    for (size_t i = 0; i < facts.tasks.size(); ++i) {
      if (snapshot_.MemoryOf(i) != nullptr) report_.pages_by_copy += facts.tasks[i].pages.pages;
    }
    for (const PageFamily& family : facts.shared_pages.families) {
      if (IsCopied(family, snapshot_)) report_.pages_by_copy += family.pages;
    }
    copies_left_ = snapshot_.End();
    report_.memory_written += absl::Now() - begun;
    report_.memory_read = report_.memory_written;
    log_.Info(absl::StrCat("Saved ", report_.pages_by_copy, " pages from copies in ",
                           absl::ToInt64Microseconds(absl::Now() - begun), " us"));
    return absl::OkStatus();
  }

  DrainProgress MemoryProgress() const {
    return [this](uint64_t done, uint64_t total) {
      if (options_.progress) options_.progress(done, total);
      return options_.may_go_on ? options_.may_go_on() : absl::OkStatus();
    };
  }

  absl::Status SaveMemory(const FrozenTree& tree, const TreeFacts& facts,
                          std::vector<PageSink>& sinks) {
    const TraceSpan span(TraceKind::kPhase, "memory", {{"pages", report_.pages_written}});
    RETURN_IF_ERROR(Begin("memory"));
    const absl::Time begun = absl::Now();
    RETURN_IF_ERROR(DrainTree(tree, facts, snapshot_, sinks, MemoryProgress()));
    report_.memory_read = report_.memory_written = absl::Now() - begun;
    log_.Info(absl::StrCat("Saved memory in the freeze in ",
                           absl::ToInt64Microseconds(report_.memory_read), " us"));
    return absl::OkStatus();
  }

  static void AccountInParent(const TreeFacts& facts, std::vector<PageSink>& sinks) {
    for (size_t i = 0; i < facts.tasks.size(); ++i) {
      for (const PageRun& run : facts.tasks[i].pages.in_parent) {
        sinks[i].AccountInParent(run.start, run.pages);
      }
    }
  }

  // Here, where nobody can write to them.
  absl::Status SaveNameless(const FrozenTree& tree, TreeFacts& facts, ImageSink& images) {
    const TraceSpan span(TraceKind::kPhase, "ghosts");
    RETURN_IF_ERROR(Begin("ghosts"));
    ASSIGN_OR_RETURN(GhostFiles ghosts, GhostFiles::Create(images, options_.may_go_on));
    RETURN_IF_ERROR(SaveGhosts(tree, facts, ghosts));
    facts.ghosts = ghosts.table();
    report_.bytes_written += ghosts.bytes();
    if (!facts.ghosts.empty()) {
      log_.Info(absl::StrCat("Saved ", facts.ghosts.size(), " deleted files, of ", ghosts.bytes(),
                             " bytes"));
    }
    return absl::OkStatus();
  }

  absl::Status LearnFlags(const FrozenTree& tree, absl::StatusOr<std::vector<ReadFlags>> read,
                          TreeFacts& facts) {
    const TraceSpan span(TraceKind::kPhase, "flags");
    RETURN_IF_ERROR(Begin("flags"));
    RETURN_IF_ERROR(read.status());
    size_t by_bpf = 0;
    size_t mappings = 0;
    for (size_t i = 0; i < facts.tasks.size(); ++i) {
      ReadFlags& flags = (*read)[i];
      const ProcDir& dir = tree.tasks()[i].dir();
      RETURN_IF_ERROR(LeaveOutWatch(dir, features_, flags.flags));
      absl::Status learnt = facts.tasks[i].vmas.LearnFlags(flags.flags);
      if (!learnt.ok() && flags.by_bpf) {
        log_.Info(absl::StrCat("VmFlags by BPF are of other mappings: ", learnt.message()));
        ASSIGN_OR_RETURN(flags, ReadFlagsFromSmaps(tree.tasks()[i]));
        RETURN_IF_ERROR(LeaveOutWatch(dir, features_, flags.flags));
        learnt = facts.tasks[i].vmas.LearnFlags(flags.flags);
      }
      RETURN_IF_ERROR(learnt);
      by_bpf += flags.by_bpf ? 1 : 0;
      mappings += flags.flags.size();
    }
    const char* const way = by_bpf == 0                   ? "smaps"
                            : by_bpf < facts.tasks.size() ? "BPF and smaps"
                                                          : "BPF";
    log_.Info(absl::StrCat("VmFlags of ", mappings, " mappings by ", way));
    return absl::OkStatus();
  }

  // The close pass.
  void CloseFiles(Preflight& preflight, TreeFacts& facts) {
    const TraceSpan span(TraceKind::kPhase, "close");
    size_t files = 0;
    for (FrozenFacts& task : facts.tasks) {
      for (const Vma& vma : task.vmas) files += vma.owns_file() || vma.borrows_file() ? 1 : 0;
      CloseList(task.vmas);
    }
    for (auto& [pid, task] : preflight.tasks) {
      if (task.vmas) CloseList(*task.vmas);
    }
    report_.files_borrowed = files > report_.files_opened ? files - report_.files_opened : 0;
    log_.Info(absl::StrCat("Close pass: ", report_.files_closed, " descriptors closed, ",
                           report_.files_skipped, " borrowed ones skipped"));
  }

  void CloseList(VmaList& vmas) {
    const VmaList::Counts counts = vmas.counts();
    report_.files_opened += counts.opened;
    report_.map_files_opens += counts.calls.opens;
    report_.map_files_stats += counts.calls.stats;
    const VmaList::CloseCounts closed = vmas.Close();
    report_.files_closed += closed.closed;
    report_.files_skipped += closed.skipped;
  }

  absl::Status Release(FrozenTree& tree, CgroupFreezer& freezer, TcpConnections& connections) {
    const TraceSpan span(TraceKind::kPhase, "resume");
    if (options_.outcome == Outcome::kRunning && scripts_.empty()) {
      RETURN_IF_ERROR(Begin("resume"));
    } else {
      RETURN_IF_ERROR(faults_.Reach("resume"));
    }
    switch (options_.outcome) {
      case Outcome::kRunning:
        RETURN_IF_ERROR(connections.Release());
        RETURN_IF_ERROR(freezer.PutBack());
        RETURN_IF_ERROR(tree.Resume());
        break;
      case Outcome::kStopped:
        RETURN_IF_ERROR(connections.Release());
        RETURN_IF_ERROR(freezer.PutBack());
        RETURN_IF_ERROR(tree.LeaveStopped());
        break;
      case Outcome::kKilled:
        report_.died = IsDead(root());
        RETURN_IF_ERROR(connections.PrepareEnd());
        RETURN_IF_ERROR(tree.Kill());
        connections.Keep();
        RETURN_IF_ERROR(freezer.PutBack());
        break;
    }
    report_.frozen = absl::Now() - frozen_since_;
    standing_.reset();
    log_.Info(absl::StrCat("Released after ", absl::ToInt64Microseconds(report_.frozen), " us"));
    return absl::OkStatus();
  }

  absl::Status Serialise(const TreeFacts& facts, std::span<const PageSink> sinks, ImageSink& sink,
                         LinkRemaps& links) {
    const TraceSpan span(TraceKind::kPhase, "serialise");
    RETURN_IF_ERROR(Begin("serialise"));
    TraceSpan build(TraceKind::kWork, "build images");
    ASSIGN_OR_RETURN(const TreeImages images, BuildImages(facts, sinks, features_, options_));
    build.End();
    if (!images.refusals.empty()) return RefusedStatus(images.refusals, true);
    for (const PageSink& sink : sinks) report_.bytes_written += sink.offset();
    for (const ImageWriter& image : images.images) {
      RETURN_IF_ERROR(sink.Write(image));
      report_.bytes_written += image.bytes().size();
      log_.Debug(absl::StrCat("Wrote ", image.name(), " (", image.bytes().size(), " bytes)"));
    }
    for (const FamilyPagemap& pagemap : images.family_pagemaps) {
      RETURN_IF_ERROR(sink.directory()->WriteInParent(pagemap.image, pagemap.also));
      report_.bytes_written += pagemap.image.bytes().size();
    }
    RETURN_IF_ERROR(Begin("link"));
    if (images.links.empty()) return absl::OkStatus();
    if (sink.directory() == nullptr) return absl::InternalError("links without a directory");
    ASSIGN_OR_RETURN(CommitMark mark, sink.directory()->Mark());
    return links.Make(images.links, facts.linked, std::move(mark));
  }

  absl::Status Commit(ImageSink& images) {
    const TraceSpan span(TraceKind::kPhase, "commit");
    if (page_server_ != nullptr) RETURN_IF_ERROR(page_server_->Finish());
    if (ImageDirectory* const directory = images.directory();
        directory != nullptr && !scripts_.empty()) {
      RETURN_IF_ERROR(scripts_.AfterDump(directory->staging()));
      RETURN_IF_ERROR(directory->AdoptOthers());
    }
    RETURN_IF_ERROR(Begin("commit"));
    RETURN_IF_ERROR(images.Commit(options_.sync));
    log_.Info(
        absl::StrCat("Committed ", report_.bytes_written, " bytes of images to ", Destination()));
    return absl::OkStatus();
  }

  // Without it the next dump writes all once more, and is as right.
  void KeepTracking(const TreeFacts& facts) {
    const absl::Status kept = tracking_.Keep(root(), facts.run_id);
    report_.tracked = kept.ok() && tracking_.tracks();
    if (!kept.ok())
      log_.Warn(absl::StrCat("Nothing is tracked for the next dump: ", kept.message()));
    if (!options_.auto_dedup || tracking_.parent() == nullptr) return;
    const absl::StatusOr<DedupCounts> freed = DedupParents(options_.images_dir);
    if (!freed.ok()) {
      log_.Warn(absl::StrCat("Not all superseded pages are freed: ", freed.status().message()));
    } else {
      log_.Info(absl::StrCat("Freed ", freed->pages, " superseded pages in previous images"));
    }
  }

  // The dump stands, whatever goes wrong now: an error says so.
  absl::Status Complete(FrozenTree& tree, CgroupFreezer& freezer, const TreeFacts& facts,
                        TcpConnections& connections, bool released_before) {
    const std::string process =
        absl::StrCat("process ", root().pid, " (", Printable(root().stat.comm), ")");
    if (!released_before) {
      const char* const fate = options_.outcome == Outcome::kKilled    ? "killed"
                               : options_.outcome == Outcome::kStopped ? "left stopped"
                                                                       : "let go in order";
      const absl::Status released = Release(tree, freezer, connections);
      if (!released.ok()) {
        return Unfinished(absl::StrCat(process, " could not be ", fate, " and goes on"), released);
      }
    }
    const absl::Status finished = Finish(facts);
    if (!copies_left_.ok()) return Unfinished("not all was put back", copies_left_);
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
                       absl::StrCat("the dump in ", Destination(), " is whole, but ",
                                    std::string(what), ": ", std::string(why.message())));
  }

  // What is left is to tell of it.
  absl::Status Finish(const TreeFacts& facts) {
    const TraceSpan span(TraceKind::kPhase, "finish");
    RETURN_IF_ERROR(faults_.Reach("finish"));
    if (options_.outcome != Outcome::kKilled) report_.died = IsDead(root());
    report_.pid = root().pid;
    report_.comm = root().stat.comm;
    report_.images_dir = Destination();
    report_.outcome = options_.outcome;
    report_.tasks = facts.tasks.size();
    for (const FrozenFacts& task : facts.tasks) AddNotCaptured(task.process);
    for (std::string& words : NotCaptured(facts.sysv)) {
      report_.not_captured.push_back(std::move(words));
    }
    if (facts.port_programs_untold) {
      report_.not_captured.emplace_back(
          "which program chooses among the sockets of a port (SO_ATTACH_REUSEPORT_EBPF), if any: "
          "this kernel does not tell");
    }
    for (std::string& words : LostTerminals(facts.tasks)) {
      report_.not_captured.push_back(std::move(words));
    }
    ASSIGN_OR_RETURN(const ImageWriter stats, StatsImage(report_));
    const absl::Status written =
        WorkDirectory().empty()
            ? absl::OkStatus()
            : WriteInto(kWorkDirectory, WorkDirectory(), stats.name(), stats.bytes());
    // The process may be dead: a failure now would be taken for that of the dump.
    if (!written.ok()) log_.Warn(absl::StrCat("No statistics: ", written.message()));
    if (options_.pidfile.empty()) return absl::OkStatus();
    return WritePidfile(options_.pidfile, root().pid);
  }

  void AddNotCaptured(const ProcessFacts& process) {
    for (std::string& words : NotCaptured(process)) {
      if (process.pid != root().pid) {
        words = absl::StrCat("of process ", process.pid, ": ", words);
      }
      report_.not_captured.push_back(std::move(words));
    }
  }

  const Target& root() const { return targets_.front(); }
  // Those without which there is no dump. Until all stand, others than the root come and go.
  std::span<const Target> needed() const {
    return std::span(targets_).first(all_needed_ ? targets_.size() : 1);
  }

  std::string Destination() const {
    return options_.output.empty() ? options_.images_dir : ArchiveName(options_.output);
  }

  // Empty where there is none: an archive needs none.
  const std::string& WorkDirectory() const {
    return options_.work_dir.empty() ? options_.images_dir : options_.work_dir;
  }

  const DumpOptions& options_;
  const ActionScripts scripts_;
  Log& log_;
  FaultPoints faults_;
  KernelFeatures features_;
  PageTracking tracking_;
  std::vector<Target> targets_;
  std::unique_ptr<PageServerClient> page_server_;  // none where pages go beside the images
  bool all_needed_ = false;
  Snapshot snapshot_;
  absl::Status copies_left_;
  DumpReport report_;
  absl::Time begun_ = absl::Now();
  absl::Time frozen_since_;
  std::optional<TraceSpan> standing_;  // the tree
};

}  // namespace

absl::StatusOr<DumpReport> Dump(const DumpOptions& options, Log& log) {
  std::optional<DumpTrace> trace;
  if (!options.trace.empty()) trace.emplace();
  TraceSpan looking(TraceKind::kPhase, "look for the tree");
  ASSIGN_OR_RETURN(FaultPoints faults, FaultPoints::Parse(options.fault));
  ASSIGN_OR_RETURN(const KernelFeatures features, KernelFeatures::Probe(options.kernel_features));
  RETURN_IF_ERROR(CheckSnapshotMode(options));
  RaiseOpenFileLimit();
  ASSIGN_OR_RETURN(PageTracking tracking, PageTracking::Prepare(options, features));
  constexpr size_t kSmallDump = 1 << 20;
  ReserveHeap(kSmallDump);
  ASSIGN_OR_RETURN(std::vector<Target> targets, FindTree(options.pid));
  if (const ActionScripts scripts(options); !scripts.empty()) {
    RETURN_IF_ERROR(scripts.BeforeDump());
    // They may have made another tree of it.
    ASSIGN_OR_RETURN(targets, FindTree(options.pid));
  }
  looking.End();
  Session session(options, log, std::move(faults), features, std::move(tracking),
                  std::move(targets));
  absl::StatusOr<DumpReport> report = session.Run();
  if (trace && session.froze()) {
    const absl::Status written = trace->Write(options.trace, session.traced(), report.status());
    // The process may be dead: a failure now would be taken for that of the dump.
    if (!written.ok()) log.Warn(absl::StrCat("No trace: ", written.message()));
  }
  return report;
}

}  // namespace dumpctl
