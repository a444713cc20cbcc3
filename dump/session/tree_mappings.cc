#include "dump/session/tree_mappings.h"

#include <optional>
#include <utility>

#include "dump/session/aio_rings.h"
#include "dumpctl/beside.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/map_file_opener.h"
#include "proc/same_mappings.h"
#include "proc/smaps_parser.h"
#include "proc/task_maps.h"

namespace dumpctl {
namespace {

// The text of maps, but nothing where it still is what it was before.
absl::StatusOr<std::optional<std::string>> ReadMapsIfChanged(const FrozenTask& task,
                                                             const std::string& before) {
  std::optional<std::string> changed;
  size_t same = 0;
  RETURN_IF_ERROR(task.dir().ReadPieces("maps", [&](std::string_view piece) {
    if (!changed && before.compare(same, piece.size(), piece) == 0) {
      same += piece.size();
      return absl::OkStatus();
    }
    if (!changed) changed = before.substr(0, same);
    changed->append(piece);
    return absl::OkStatus();
  }));
  if (!changed && same < before.size()) changed = before.substr(0, same);
  return changed;
}

absl::Status SettleAio(const Preflight& preflight, FrozenFacts& facts) {
  if (!HasAioRings(facts.vmas)) return absl::OkStatus();
  const pid_t pid = facts.process.pid;
  if (!preflight.aio_contexts) {
    facts.refusals = RefuseUntoldRings(pid, facts.vmas);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(facts.refusals, SettleAioRings(pid, facts.vmas, *preflight.aio_contexts));
  return absl::OkStatus();
}

absl::StatusOr<VmaList> ReadByMaps(const FrozenTask& task, Preflight& preflight) {
  // A task that was not there yet is as if all of its mappings had changed.
  TaskPreflight& before = preflight.tasks[task.pid()];
  ASSIGN_OR_RETURN(std::optional<std::string> changed, ReadMapsIfChanged(task, before.maps_text));
  // The same text is the same list: the same addresses, and the same files there. Another file that
  // came in between, under the same name even, has another inode, because those of the list are
  // held open and their numbers are not given again.
  if (!changed && before.vmas) return *std::exchange(before.vmas, std::nullopt);
  ASSIGN_OR_RETURN(std::vector<Mapping> mappings, ParseMaps(changed ? *changed : before.maps_text));
  ProcMapFileOpener opener(task.dir(), preflight.kernel_tmpfs);
  const VmaList::Shared shared{preflight.cache.get(), preflight.mount_namespace};
  return VmaList::Build(std::move(mappings), opener, &shared);
}

// What there was before, if BPF tells the same now.
std::optional<VmaList> TakeIfSame(const BpfMappings& now, OpenNames& names,
                                  std::optional<VmaList>& before) {
  if (!before || !AreMappedStill(*before, now) || !HaveTheirNames(*before, names)) {
    return std::nullopt;
  }
  before->LearnUntouched([&now](size_t i) { return now.sources[i].untouched; });
  return std::exchange(before, std::nullopt);
}

// BPF gives both, and takes a quarter of the time that maps takes.
absl::Status ReadMappingsWithFlags(const FrozenTask& task, Preflight& preflight,
                                   const BpfVmFlags& by_bpf, OpenNames& names, FrozenFacts& facts) {
  absl::StatusOr<BpfMappings> now = by_bpf.Read(task.pid());
  if (now.ok()) {
    std::optional<VmaList> same = TakeIfSame(*now, names, preflight.tasks[task.pid()].vmas);
    facts.flags = ReadFlags{std::move(now->flags), true};
    if (same) {
      facts.vmas = *std::move(same);
      return absl::OkStatus();
    }
  } else {
    ASSIGN_OR_RETURN(facts.flags, ReadFlagsFromSmaps(task));
  }
  ASSIGN_OR_RETURN(facts.vmas, ReadByMaps(task, preflight));
  return absl::OkStatus();
}

// The lines of a text of maps, one after the other.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  bool NextIs(std::string_view line) {
    const bool is =
        rest_.size() > line.size() && rest_.starts_with(line) && rest_[line.size()] == '\n';
    rest_.remove_prefix(is ? line.size() + 1 : 0);
    return is;
  }
  bool done() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

// Each entry of smaps begins with the line that maps has of it.
absl::Status ReadMappingsBySmaps(const FrozenTask& task, Preflight& preflight, FrozenFacts& facts) {
  TaskPreflight& before = preflight.tasks[task.pid()];
  Lines lines(before.maps_text);
  bool same = before.vmas.has_value();
  ASSIGN_OR_RETURN(facts.flags, ReadFlagsFromSmaps(task, [&](std::string_view head) {
                     same = same && lines.NextIs(head);
                   }));
  if (same && lines.done()) {
    facts.vmas = *std::exchange(before.vmas, std::nullopt);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(facts.vmas, ReadByMaps(task, preflight));
  return absl::OkStatus();
}

absl::Status ReadTaskMappings(const FrozenTask& task, Preflight& preflight,
                              const BpfVmFlags* by_bpf, OpenNames& names, FrozenFacts& facts) {
  if (by_bpf != nullptr) return ReadMappingsWithFlags(task, preflight, *by_bpf, names, facts);
  if (!preflight.worth_helper) return ReadMappingsBySmaps(task, preflight, facts);
  ASSIGN_OR_RETURN(facts.vmas, ReadByMaps(task, preflight));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<VmaList> ReadMappings(const FrozenTask& task, Preflight& preflight) {
  if (preflight.tasks[task.pid()].maps_text.empty() && preflight.flags_by_bpf.valid()) {
    const absl::StatusOr<BpfVmFlags>& by_bpf = preflight.flags_by_bpf.get();
    const absl::StatusOr<BpfMappings> now =
        by_bpf.ok() ? by_bpf->Read(task.pid()) : by_bpf.status();
    std::optional<VmaList> same;
    OpenNames names;
    if (now.ok()) same = TakeIfSame(*now, names, preflight.tasks[task.pid()].vmas);
    if (same) return *std::move(same);
  }
  return ReadByMaps(task, preflight);
}

absl::Status ReadTreeMappings(const FrozenTree& tree, Preflight& preflight,
                              const BpfVmFlags* by_bpf, TreeFacts& facts) {
  OpenNames names;
  for (size_t i = 0; i < facts.tasks.size(); ++i) {
    FrozenFacts& task = facts.tasks[i];
    TraceSpan span(TraceKind::kTask, "mappings", {{"pid", task.process.pid}});
    RETURN_IF_ERROR(ReadTaskMappings(tree.tasks()[i], preflight, by_bpf, names, task));
    RETURN_IF_ERROR(SettleAio(preflight, task));
    ASSIGN_OR_RETURN(facts.shared_memory,
                     FindSharedObjects(task.vmas, std::move(facts.shared_memory)));
    span.Tell({"mappings", task.vmas.size()});
  }
  return absl::OkStatus();
}

std::future<absl::StatusOr<std::vector<ScannedPages>>> ScanBeside(const FrozenTree& tree,
                                                                  const KernelFeatures& features,
                                                                  const Preflight& preflight,
                                                                  const TreeFacts& facts) {
  const bool beside = facts.tasks.size() >= kWorthWaking;
  // Of several tasks another thread has enough to do.
  const bool alone = facts.tasks.size() == 1;
  const auto seen = preflight.tasks.find(facts.tasks.front().process.pid);
  const uint64_t tables = alone && seen != preflight.tasks.end() ? seen->second.page_tables : 0;
  const auto scan = [&tree, &features, &facts, beside,
                     tables]() -> absl::StatusOr<std::vector<ScannedPages>> {
    std::optional<TraceSpan> thread;
    if (beside) thread.emplace(TraceKind::kThread, "scan pages");
    std::vector<ScannedPages> scanned;
    for (size_t i = 0; i < facts.tasks.size(); ++i) {
      ScannedPages& found = scanned.emplace_back();
      const FrozenFacts& task = facts.tasks[i];
      if (task.scanned_later) continue;
      TraceSpan span(TraceKind::kTask, "pages", {{"pid", task.process.pid}});
      ASSIGN_OR_RETURN(found, ScanPages(tree.tasks()[i].dir(), task.vmas, features, ScanOf::kTask,
                                        task.saved, tables));
      span.Tell({"pages", found.pages});
    }
    return scanned;
  };
  return beside ? RunBeside(scan) : std::async(std::launch::deferred, scan);
}

absl::StatusOr<ReadFlags> ReadFlagsFromSmaps(const FrozenTask& task,
                                             absl::FunctionRef<void(std::string_view)> see) {
  ReadFlags read;
  const auto keep = [&](std::string_view head, std::string_view codes) -> absl::Status {
    see(head);
    ASSIGN_OR_RETURN(const MappingFlags mapping, ParseMappingFlags(head, codes));
    read.flags.push_back(mapping);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ReadSmapsOf(task.dir(), keep));
  return read;
}

ReadFlagsLater ReadFlagsBeside(const FrozenTree& tree, Helper& helper) {
  return helper.Do([&tree]() -> absl::StatusOr<std::vector<ReadFlags>> {
    std::vector<ReadFlags> read;
    for (const FrozenTask& task : tree.tasks()) {
      const TraceSpan span(TraceKind::kTask, "read VmFlags", {{"pid", task.pid()}});
      ASSIGN_OR_RETURN(ReadFlags flags, ReadFlagsFromSmaps(task));
      read.push_back(std::move(flags));
    }
    return read;
  });
}

}  // namespace dumpctl
