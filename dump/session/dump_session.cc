#include "dump/session/dump_session.h"

#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dump/fd/ghost_files.h"
#include "dump/image/image_directory.h"
#include "dump/mm/held_pages.h"
#include "dump/session/action_scripts.h"
#include "dump/session/cgroup_freezer.h"
#include "dump/session/close_pass.h"
#include "dump/session/collect_phases.h"
#include "dump/session/copy_phases.h"
#include "dump/session/destination.h"
#include "dump/session/drain_tree.h"
#include "dump/session/dump_ending.h"
#include "dump/session/dump_run.h"
#include "dump/session/fault_points.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/heap.h"
#include "dump/session/helper.h"
#include "dump/session/link_remaps.h"
#include "dump/session/memory_headroom.h"
#include "dump/session/page_tracking.h"
#include "dump/session/pre_copy.h"
#include "dump/session/preflight.h"
#include "dump/session/run_setup.h"
#include "dump/session/seen_names.h"
#include "dump/session/snapshot_mode.h"
#include "dump/session/target.h"
#include "dump/session/tcp_connections.h"
#include "dump/session/trace_file.h"
#include "dump/session/tree_flags.h"
#include "dump/session/tree_ghosts.h"
#include "dump/session/tree_images.h"
#include "dump/session/tree_mappings.h"
#include "dump/session/write_once.h"
#include "dump/tracee/frozen_tree.h"
#include "dumpctl/printable.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/bpf_vm_flags.h"
#include "proc/kernel_features.h"

namespace dumpctl {
namespace {

// One dump. RunPhases is its order; each phase is below, in that order, or has a source of its own.
class Session {
 public:
  Session(const DumpOptions& options, Log& log, FaultPoints faults, KernelFeatures features,
          PageTracking tracking, const ThreadRows& rows, std::vector<Target> targets)
      : run_{options, log, std::move(faults)},
        features_(features),
        tracking_(std::move(tracking)),
        rows_(rows),
        targets_(std::move(targets)),
        pre_copy_(run_),
        copies_(run_) {}

  // Of what it was, with its threads all ended.
  TraceSubject traced() const { return {root().pid, root().stat.comm}; }
  bool froze() const { return frozen_since_ != absl::Time(); }

  absl::StatusOr<DumpReport> Run();

 private:
  absl::Status RunPhases();

  // While the tree runs.
  absl::StatusOr<Preflight> LookOver();
  // Of memory that may be written when it runs again.
  HeldPages::Room RoomToHold() const;
  bool HasRoomFor(uint64_t bytes) const;
  // While it stands.
  absl::StatusOr<FrozenTree> Freeze(CgroupFreezer& freezer);
  absl::Status ReadConnections(const FrozenTree& tree, TreeFacts& facts,
                               TcpConnections& connections);
  absl::Status SaveMemory(const FrozenTree& tree, const TreeFacts& facts, std::span<PageSink> sinks,
                          HeldPages& held);
  absl::Status SaveNameless(const FrozenTree& tree, TreeFacts& facts, ImageSink& images);
  // While it runs again, if it does, until the images stand.
  absl::Status Release(FrozenTree& tree, CgroupFreezer& freezer, TcpConnections& connections);
  absl::Status Serialise(const TreeFacts& facts, Destination& destination, LinkRemaps& links);
  // When they do.
  absl::Status Complete(FrozenTree& tree, CgroupFreezer& freezer, const TreeFacts& facts,
                        TcpConnections& connections);

  const Target& root() const { return targets_.front(); }
  // Those without which there is no dump. Until all stand, others than the root come and go.
  std::span<const Target> needed() const {
    return std::span(targets_).first(all_needed_ ? targets_.size() : 1);
  }

  DumpRun run_;
  KernelFeatures features_;
  PageTracking tracking_;
  const ThreadRows& rows_;
  std::vector<Target> targets_;
  PreCopy pre_copy_;
  CopyPhases copies_;
  bool all_needed_ = false;
  absl::Time begun_ = absl::Now();
  absl::Time frozen_since_;
  std::optional<TraceSpan> standing_;  // the tree
};

absl::StatusOr<DumpReport> Session::Run() {
  const absl::Status status = RunPhases();
  standing_.reset();
  if (!status.ok()) return ExplainByDeath(status, needed());
  run_.report.total = absl::Now() - begun_;
  return std::move(run_.report);
}

absl::Status Session::RunPhases() {
  RETURN_IF_ERROR(copies_.Prepare(targets_));
  ASSIGN_OR_RETURN(Preflight preflight, LookOver());
  const std::vector<pid_t> pids = PidsOf(targets_);
  ASSIGN_OR_RETURN(Destination destination, Destination::Open(run_, tracking_.parent(), pids));
  tracking_.SendTo(destination.KnownToServer(pids));
  const bool once = WritesOnce(run_.options, destination.images());
  const bool divides = once && DividesLarge(run_.options);
  RETURN_IF_ERROR(pre_copy_.Run(targets_, copies_.kinship(), features_,
                                copies_.snapshot().guardian(), destination));
  // What was seen before that is old by now.
  if (pre_copy_.wrote()) {
    ASSIGN_OR_RETURN(preflight, LookOver());
  }
  TraceSpan preparing(TraceKind::kPhase, "prepare");
  RETURN_IF_ERROR(destination.OpenSinks(targets_.size() + preflight.shared_memory.size()));
  HeldPages held(RoomToHold());
  const BpfVmFlags* const by_bpf = FlagsByBpf(run_, preflight);
  CgroupFreezer freezer(run_.options.cgroups.freeze_cgroup);
  Helper helper(preflight.worth_helper);
  ASSIGN_OR_RETURN(const std::string run_id, NewRunId());
  preparing.End();

  ASSIGN_OR_RETURN(FrozenTree tree, Freeze(freezer));
  // Before the tree is let go, whichever way that comes about.
  const absl::Cleanup put_back = [&freezer] { freezer.PutBack().IgnoreError(); };
  const absl::Cleanup helped = [&helper] { helper.Finish(); };
  auto cgroups = ReadCgroupsBeside(tree, preflight.dumpers_cgroups, run_.options.cgroups, helper);
  SideFactsRead side = ReadSideFacts(tree, preflight.namespaces, helper);
  ASSIGN_OR_RETURN(TreeFacts facts, Question(run_, tree, tracking_, root()));
  facts.run_id = run_id;
  pre_copy_.Tell(facts);
  const bool takes_copies = copies_.MayTake(freezer);
  copies_.TellKin(targets_, facts);
  if (takes_copies && !tracking_.splits()) copies_.LeaveScans(once, facts);
  TcpConnections connections;
  ReadFlagsLater flags;
  if (by_bpf == nullptr && preflight.worth_helper) flags = ReadFlagsBeside(tree, helper);
  RETURN_IF_ERROR(
      Collect(run_, tree, preflight, by_bpf, features_, tracking_, std::move(side), facts));
  pre_copy_.Settle(facts);
  // Before the facts go, should anything fail.
  const absl::Cleanup seen = [&helper] { helper.Finish(); };
  auto names = SeeNamesBeside(facts, helper);
  if (once) RETURN_IF_ERROR(ShareOut(run_, tree, facts));
  RETURN_IF_ERROR(ReadConnections(tree, facts, connections));
  const bool needs_flags = takes_copies || copies_.snapshot().MayWriteBeside();
  if (needs_flags) {
    RETURN_IF_ERROR(LearnFlags(run_, features_, tree, FlagsOf(flags, facts), facts));
  }
  if (takes_copies) RETURN_IF_ERROR(copies_.Take(tree, features_, facts));
  if (divides) DivideTasks(facts);
  // Files of families that are written from copies are made when the tree runs again.
  RETURN_IF_ERROR(IsCopied(facts.shared_pages, copies_.snapshot())
                      ? destination.OpenSinks(facts.tasks.size() + facts.shared_memory.size())
                      : destination.OpenSinks(facts));
  destination.AccountInParent(facts);
  RETURN_IF_ERROR(SaveMemory(tree, facts, destination.sinks(), held));
  ASSIGN_OR_RETURN(facts.file_rules.seen, Await(names));
  RETURN_IF_ERROR(SaveNameless(tree, facts, destination.images()));
  if (!needs_flags)
    RETURN_IF_ERROR(LearnFlags(run_, features_, tree, FlagsOf(flags, facts), facts));
  ASSIGN_OR_RETURN(facts.cgroups, Await(cgroups));
  CloseFiles(run_, preflight, facts);
  if (run_.runs_early()) {
    RETURN_IF_ERROR(Release(tree, freezer, connections));
    RETURN_IF_ERROR(LetGoOfFiles(features_, facts));
  }
  TraceSpan writing(TraceKind::kPhase, "write held pages");
  pre_copy_.End();
  // By one: a tree that runs has a use for other processors.
  const absl::Time begun = absl::Now();
  RETURN_IF_ERROR(held.Write());
  run_.report.memory_written += absl::Now() - begun;
  writing.End();

  RETURN_IF_ERROR(copies_.FindPages(features_, facts));
  if (divides) DivideTasks(facts);
  RETURN_IF_ERROR(destination.OpenSinks(facts));
  RETURN_IF_ERROR(copies_.Save(facts, destination.sinks()));
  LinkRemaps links;
  RETURN_IF_ERROR(Serialise(facts, destination, links));
  RETURN_IF_ERROR(destination.Commit(facts.run_id));
  links.Keep();
  KeepTracking(run_, tracking_, root(), facts.run_id);
  return Complete(tree, freezer, facts, connections);
}

absl::StatusOr<Preflight> Session::LookOver() {
  const TraceSpan span(TraceKind::kPhase, "preflight");
  RETURN_IF_ERROR(run_.Begin("preflight"));
  run_.log.Info(absl::StrCat("Preflight of process ", root().pid, " (", Printable(root().stat.comm),
                             "): ", targets_.size(), " in the tree"));
  ASSIGN_OR_RETURN(Preflight preflight, RunPreflight(run_.options, targets_, features_));
  if (!preflight.blockers.empty()) return RefusedStatus(preflight.blockers, false);
  RETURN_IF_ERROR(tracking_.ReadParent(targets_));
  return preflight;
}

// Without coming near to what the tree has left, whose cgroup may be ours.
bool Session::HasRoomFor(uint64_t bytes) const {
  const absl::StatusOr<uint64_t> room = MemoryHeadroom(root().dir);
  return room.ok() && bytes <= *room / 4;
}

HeldPages::Room Session::RoomToHold() const {
  const DumpOptions& options = run_.options;
  const bool to_files = options.output.empty() && !options.stream && !options.page_server;
  if (targets_.size() != 1 || !to_files || options.direct) return {};
  constexpr uint64_t kSmall = 16 << 20;
  if (pre_copy_.wrote()) {
    // Who writes to the page cache in the freeze may have to wait there for a disk.
    constexpr uint64_t kBesides = 4 << 20;
    const uint64_t likely = pre_copy_.lag() + pre_copy_.lag() / 2 + kBesides;
    for (const uint64_t most : {HeldPages::kMost, kSmall}) {
      const uint64_t touched = std::min(likely, most);
      if (HasRoomFor(most)) return {.likely = touched, .spare = most - touched};
    }
    return {};
  }
  // Of what it shares with files, some is its own by then.
  constexpr uint64_t kSome = 64 << 10;
  const HeldPages::Room room{root().PrivateBytes(), kSome};
  // Who stands until all is written would wait for the room as well, and there is none to be made
  // for what is copied.
  constexpr uint64_t kLittle = 1 << 20;
  const uint64_t bytes = room.likely + room.spare;
  if (bytes <= kLittle) return room;
  if (bytes > kSmall || !run_.runs_early() || copies_.prepared()) return {};
  return HasRoomFor(bytes) ? room : HeldPages::Room{};
}

absl::StatusOr<FrozenTree> Session::Freeze(CgroupFreezer& freezer) {
  KnownTree known{.rows = &rows_};
  for (const Target& target : targets_) known.dirs.emplace(target.pid, target.dir);
  frozen_since_ = absl::Now();
  standing_.emplace(TraceKind::kFrozen, "frozen");
  const TraceSpan span(TraceKind::kPhase, "freeze");
  RETURN_IF_ERROR(run_.Begin("freeze"));
  const DumpOptions& options = run_.options;
  const absl::Time deadline = frozen_since_ + options.timeout;
  RETURN_IF_ERROR(freezer.Freeze(deadline, options.may_go_on));
  if (freezer.was_frozen()) {
    run_.report.not_captured.push_back(
        absl::StrCat("that cgroup ", Printable(options.cgroups.freeze_cgroup), " is frozen"));
  }
  std::function<absl::Status()> thaw;
  if (freezer.active()) thaw = [&freezer] { return freezer.Thaw(); };
  ASSIGN_OR_RETURN(FrozenTree tree,
                   FrozenTree::Freeze(root().pid, deadline, options.may_go_on, thaw, known));
  run_.report.freezing = absl::Now() - frozen_since_;
  std::set<pid_t> standing;
  for (const FrozenTask& task : tree.tasks()) standing.insert(task.pid());
  std::erase_if(targets_, [&](const Target& target) { return !standing.contains(target.pid); });
  all_needed_ = true;
  run_.log.Info(absl::StrCat("Frozen: ", tree.tasks().size(), " processes, ", tree.threads(),
                             " threads in ", absl::ToInt64Microseconds(run_.report.freezing),
                             " us"));
  return tree;
}

absl::Status Session::ReadConnections(const FrozenTree& tree, TreeFacts& facts,
                                      TcpConnections& connections) {
  const TraceSpan span(TraceKind::kPhase, "lock");
  RETURN_IF_ERROR(run_.Begin("lock"));
  if (!run_.options.inet.tcp_established) return absl::OkStatus();
  ASSIGN_OR_RETURN(
      facts.network_lock,
      connections.Read(facts.inet_sockets, run_.options.network_lock, facts.run_id, tree.pids()));
  if (connections.size() > 0)
    run_.log.Info(absl::StrCat("Read ", connections.size(), " connections of TCP"));
  return absl::OkStatus();
}

absl::Status Session::SaveMemory(const FrozenTree& tree, const TreeFacts& facts,
                                 std::span<PageSink> sinks, HeldPages& held) {
  DumpReport& report = run_.report;
  const TraceSpan span(TraceKind::kPhase, "memory", {{"pages", report.pages_written}});
  RETURN_IF_ERROR(run_.Begin("memory"));
  const absl::Time begun = absl::Now();
  RETURN_IF_ERROR(DrainTree(tree, facts, copies_.snapshot(), sinks, held, run_.MemoryProgress()));
  report.memory_read = report.memory_written = absl::Now() - begun;
  run_.log.Info(absl::StrCat("Read memory in the freeze in ",
                             absl::ToInt64Microseconds(report.memory_read), " us"));
  return absl::OkStatus();
}

// Here, where nobody can write to them.
absl::Status Session::SaveNameless(const FrozenTree& tree, TreeFacts& facts, ImageSink& images) {
  const TraceSpan span(TraceKind::kPhase, "ghosts");
  RETURN_IF_ERROR(run_.Begin("ghosts"));
  ASSIGN_OR_RETURN(GhostFiles ghosts, GhostFiles::Create(images, run_.options.may_go_on));
  RETURN_IF_ERROR(SaveGhosts(tree, facts, ghosts));
  facts.ghosts = ghosts.table();
  run_.report.bytes_written += ghosts.bytes();
  if (!facts.ghosts.empty()) {
    run_.log.Info(absl::StrCat("Saved ", facts.ghosts.size(), " deleted files, of ", ghosts.bytes(),
                               " bytes"));
  }
  return absl::OkStatus();
}

absl::Status Session::Release(FrozenTree& tree, CgroupFreezer& freezer,
                              TcpConnections& connections) {
  const TraceSpan span(TraceKind::kPhase, "resume");
  RETURN_IF_ERROR(run_.runs_early() ? run_.Begin("resume") : run_.faults.Reach("resume"));
  switch (run_.options.outcome) {
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
      run_.report.died = IsDead(root());
      RETURN_IF_ERROR(connections.PrepareEnd());
      RETURN_IF_ERROR(tree.Kill());
      connections.Keep();
      tree.WaitForEnd();
      RETURN_IF_ERROR(freezer.PutBack());
      break;
  }
  run_.report.frozen = absl::Now() - frozen_since_;
  standing_.reset();
  run_.log.Info(
      absl::StrCat("Released after ", absl::ToInt64Microseconds(run_.report.frozen), " us"));
  return absl::OkStatus();
}

absl::Status Session::Serialise(const TreeFacts& facts, Destination& destination,
                                LinkRemaps& links) {
  const TraceSpan span(TraceKind::kPhase, "serialise");
  RETURN_IF_ERROR(run_.Begin("serialise"));
  TraceSpan build(TraceKind::kWork, "build images");
  ASSIGN_OR_RETURN(TreeImages images,
                   BuildImages(facts, destination.sinks(), features_, run_.options));
  RETURN_IF_ERROR(pre_copy_.AddTo(images));
  build.End();
  if (!images.refusals.empty()) return RefusedStatus(images.refusals, true);
  RETURN_IF_ERROR(destination.Write(images));
  RETURN_IF_ERROR(run_.Begin("link"));
  if (images.links.empty()) return absl::OkStatus();
  ImageDirectory* const directory = destination.images().directory();
  if (directory == nullptr) return absl::InternalError("links without a directory");
  ASSIGN_OR_RETURN(CommitMark mark, directory->Mark());
  return links.Make(images.links, facts.linked, std::move(mark));
}

// The dump stands, whatever goes wrong now: an error says so.
absl::Status Session::Complete(FrozenTree& tree, CgroupFreezer& freezer, const TreeFacts& facts,
                               TcpConnections& connections) {
  const std::string process =
      absl::StrCat("process ", root().pid, " (", Printable(root().stat.comm), ")");
  if (!run_.runs_early()) {
    const absl::Status released = Release(tree, freezer, connections);
    if (!released.ok()) {
      return Unfinished(
          run_,
          absl::StrCat(process, " could not be ", FateToBe(run_.options.outcome), " and goes on"),
          released);
    }
  }
  absl::Status told = TellOfDump(run_, facts, root());
  if (!copies_.left().ok()) return Unfinished(run_, "not all was put back", copies_.left());
  if (told.ok()) return told;
  return Unfinished(
      run_, absl::StrCat("not all could be told of it, and ", process, " ", Fate(run_)), told);
}

}  // namespace

absl::StatusOr<DumpReport> Dump(const DumpOptions& options, Log& log) {
  std::optional<DumpTrace> trace;
  if (!options.trace.empty()) trace.emplace();
  TraceSpan looking(TraceKind::kPhase, "look for the tree");
  ASSIGN_OR_RETURN(FaultPoints faults, FaultPoints::Parse(options.fault));
  ASSIGN_OR_RETURN(const KernelFeatures features, KernelFeatures::Probe(options.kernel_features));
  // What else is asked for is asked before the freeze as it is.
  features.Learn(
      {KernelFeature::kPagemapScan, KernelFeature::kPagemapScanGuard, KernelFeature::kDupfdQuery});
  RETURN_IF_ERROR(CheckSnapshotMode(options));
  RaiseOpenFileLimit();
  ASSIGN_OR_RETURN(PageTracking tracking, PageTracking::Prepare(options, features));
  // Preflight knows how much of it there is to be.
  ReserveHeap(0);
  ThreadRows rows(features.Has(KernelFeature::kBpfTask));
  ASSIGN_OR_RETURN(std::vector<Target> targets, FindTree(options.pid, &rows));
  if (const ActionScripts scripts(options); !scripts.empty()) {
    RETURN_IF_ERROR(scripts.BeforeDump());
    // They may have made another tree of it.
    ASSIGN_OR_RETURN(targets, FindTree(options.pid, &rows));
  }
  looking.End();
  Session session(options, log, std::move(faults), features, std::move(tracking), rows,
                  std::move(targets));
  absl::StatusOr<DumpReport> report = session.Run();
  if (trace && session.froze()) {
    LeaveTrace(*trace, options.trace, session.traced(), report.status(), log);
  }
  return report;
}

}  // namespace dumpctl
