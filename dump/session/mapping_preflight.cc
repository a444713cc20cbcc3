#include "dump/session/mapping_preflight.h"

#include <algorithm>
#include <future>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dump/mm/page_drainer.h"
#include "dump/session/heap.h"
#include "dumpctl/beside.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/map_file_opener.h"
#include "proc/named_mappings.h"
#include "proc/smaps_parser.h"

namespace dumpctl {
namespace {

// What reading the flags of these mappings from smaps takes, in us, while the target stands still:
// some 6 for a mapping, 11 for a resident MB and 1 for a page table.
uint64_t SmapsCost(const Target& target, size_t mappings) {
  constexpr uint64_t kKibOfMb = 1024;
  constexpr uint64_t kKibOfTable = 4;
  return 6 * mappings + 11 * target.resident / kKibOfMb + target.page_tables / kKibOfTable;
}

// What it is read into, by two; what is little, of one alone, has room of its own (HeldPages).
uint64_t BufferFor(const Target& target, bool alone) {
  const uint64_t own = target.PrivateBytes();
  return alone && own < kDrainBuffer ? 0 : std::min(own, 2 * kDrainBuffer);
}

// NotFound where some mapping has a flag whose meaning was not learnt (of protection keys, mseal):
// better now than in the freeze, where smaps would have to be read after all. Of few tasks, for
// these are soon asked.
absl::Status Try(const BpfVmFlags& flags, std::span<const pid_t> pids) {
  constexpr size_t kFew = 16;
  if (pids.size() > kFew) return absl::OkStatus();
  for (const pid_t pid : pids) {
    const absl::StatusOr<BpfMappings> read = flags.ReadBefore(pid, [](size_t) {});
    if (absl::IsNotFound(read.status())) return read.status();
  }
  return absl::OkStatus();
}

// Loading a BPF program takes 1 ms on another CPU, while the targets run; 4 where nothing is kept
// of the kernel (LayoutStore).
// `reads_many`: mappings are read so in preflight anyway (ReadManyMappings).
void LoadFlagsByBpf(std::span<const Target> targets, bool reads_many, Preflight& preflight) {
  std::vector<pid_t> pids;
  for (const Target& target : targets) pids.push_back(target.pid);
  const auto load = [pids, reads_many]() -> absl::StatusOr<BpfVmFlags> {
    const TraceSpan span(TraceKind::kThread, "load the program of VmFlags");
    ASSIGN_OR_RETURN(BpfVmFlags flags, BpfVmFlags::Load());
    // The others, and whoever cannot be, are when they are read.
    constexpr size_t kMostAttached = 1000;
    for (const pid_t pid : std::span(pids).first(std::min(pids.size(), kMostAttached))) {
      flags.Attach(pid).IgnoreError();
    }
    if (!reads_many) RETURN_IF_ERROR(Try(flags, pids));
    return flags;
  };
  preflight.flags_by_bpf = RunBeside(load);
}

// Some 1,500 lines: as many mappings as BPF tells of sooner.
constexpr size_t kLong = 128 << 10;

// Whether smaps takes longer than to load a program, in us.
bool IsSlow(uint64_t smaps_cost) {
  constexpr uint64_t kLoadKept = 1'500;
  constexpr uint64_t kLoad = 10'000;
  return smaps_cost > kLoad || (smaps_cost > kLoadKept && BpfVmFlags::IsKept());
}

// Where a text is long, what becomes of it takes much memory, and so does the text. It is not read
// to its end where BPF can tell: nullopt.
absl::StatusOr<std::optional<std::string>> ReadMapsText(const ProcDir& task,
                                                        const KernelFeatures& features) {
  constexpr size_t kHeapForLong = 4 << 20;
  std::string text;
  bool many = false;
  const absl::Status read = task.ReadPieces("maps", [&](std::string_view piece) -> absl::Status {
    many = text.size() >= kLong && features.Has(KernelFeature::kBpfTaskVma) &&
           features.Has(KernelFeature::kProcmapQuery);
    if (many) return absl::CancelledError();
    if (text.size() >= kLong && text.capacity() < kHeapForLong / 4) {
      ReserveHeap(kHeapForLong);
      text.reserve(kHeapForLong / 4);
    }
    text.append(piece);
    return absl::OkStatus();
  });
  if (many) return std::nullopt;
  RETURN_IF_ERROR(read);
  return text;
}

// Their list, with its names, twice, and what becomes of it.
constexpr size_t kHeapForMapping = 512;

// By BPF. Any error means to read maps; where flags are not known, see Try, all of them.
absl::StatusOr<std::vector<Mapping>> ReadManyMappings(const Target& target, Preflight& preflight) {
  const absl::StatusOr<BpfVmFlags>& by_bpf = preflight.flags_by_bpf.get();
  RETURN_IF_ERROR(by_bpf.status());
  const absl::StatusOr<BpfMappings> read = by_bpf->ReadBefore(
      target.pid, [](size_t mappings) { ReserveHeap(mappings * kHeapForMapping); });
  if (absl::IsNotFound(read.status())) {
    std::promise<absl::StatusOr<BpfVmFlags>> untold;
    untold.set_value(read.status());
    preflight.flags_by_bpf = untold.get_future().share();
  }
  RETURN_IF_ERROR(read.status());
  return NameMappings(target.dir, *read);
}

// What was read before, if it still serves.
absl::StatusOr<std::vector<Mapping>> MappingsOf(const Target& target, bool again,
                                                Preflight& preflight, TaskPreflight& task) {
  if (!again && !task.maps_text.empty()) return ParseMaps(task.maps_text);
  if (!again && preflight.flags_by_bpf.valid()) {
    absl::StatusOr<std::vector<Mapping>> many = ReadManyMappings(target, preflight);
    if (many.ok()) return many;
  }
  ASSIGN_OR_RETURN(task.maps_text, target.dir.Read("maps"));
  return ParseMaps(task.maps_text);
}

}  // namespace

absl::Status ReadMaps(std::span<const Target> targets, size_t descriptors,
                      const KernelFeatures& features, Preflight& preflight) {
  const TraceSpan span(TraceKind::kWork, "maps and heap");
  constexpr size_t kHeapForTask = 32 << 10;
  constexpr size_t kHeapForThread = 6 << 10;
  constexpr size_t kHeapForDescriptor = 1536;
  constexpr uint64_t kCgroupCost = 20;  // us, for a thread
  uint64_t cost = 0;
  uint64_t cgroups = 0;
  uint64_t buffer = 0;
  bool many = false;
  size_t heap = descriptors * kHeapForDescriptor;
  for (const Target& target : targets) {
    absl::StatusOr<std::optional<std::string>> read = ReadMapsText(target.dir, features);
    if (!read.ok() && HasGone(target, targets)) continue;
    RETURN_IF_ERROR(read.status());
    many = many || !*read;
    TaskPreflight& task = preflight.tasks[target.pid];
    task.page_tables = target.page_tables;
    const std::string& text = task.maps_text = std::move(*read).value_or("");
    const size_t mappings = CountMappings(text);
    heap += kHeapForTask + target.threads * kHeapForThread + mappings * kHeapForMapping +
            2 * text.size();
    cost += SmapsCost(target, mappings);
    cgroups += target.threads * kCgroupCost;
    buffer = std::max(buffer, BufferFor(target, targets.size() == 1));
  }
  ReserveHeap(heap + buffer);
  // To start a thread, to wake it twice and to end it take as long.
  constexpr uint64_t kWorthThread = 500;
  constexpr uint64_t kNameCost = 3;  // us, for a descriptor
  preflight.worth_helper = many || cost + cgroups + descriptors * kNameCost >= kWorthThread;
  if (many || (features.Has(KernelFeature::kBpfTaskVma) && IsSlow(cost))) {
    LoadFlagsByBpf(targets, many, preflight);
  }
  return absl::OkStatus();
}

absl::Status OpenMappedFiles(const Target& target, Preflight& preflight) {
  TaskPreflight& task = preflight.tasks[target.pid];
  // The target runs: what maps told may be gone when it is opened.
  constexpr int kTries = 3;
  for (int i = 0; i < kTries; ++i) {
    ASSIGN_OR_RETURN(std::vector<Mapping> mappings, MappingsOf(target, i > 0, preflight, task));
    ProcMapFileOpener opener(target.dir, preflight.kernel_tmpfs);
    const VmaList::Shared shared{preflight.cache.get(), preflight.mount_namespace};
    absl::StatusOr<VmaList> vmas = VmaList::Build(std::move(mappings), opener, &shared);
    if (absl::IsNotFound(vmas.status())) continue;
    RETURN_IF_ERROR(vmas.status());
    task.vmas = *std::move(vmas);
    break;
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
