#include "dump/session/preflight.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dump/fd/fd_collector.h"
#include "dump/fd/file_refusal.h"
#include "dump/fd/pidfd_file.h"
#include "dump/mm/page_drainer.h"
#include "dump/mm/shared_memory.h"
#include "dump/mm/shared_order.h"
#include "dump/mm/vma_collector.h"
#include "dump/mm/vma_refusal.h"
#include "dump/ns/namespace_file.h"
#include "dump/ns/sysv_ipc.h"
#include "dump/session/aio_rings.h"
#include "dump/session/descriptor_room.h"
#include "dump/session/heap.h"
#include "dump/session/named_files.h"
#include "dump/session/socket_preflight.h"
#include "dump/session/terminal_preflight.h"
#include "dump/session/tree_cgroups.h"
#include "dump/sk/unix_diag.h"
#include "dump/task/lineage.h"
#include "dump/task/security_label.h"
#include "dump/task/shared_objects.h"
#include "dumpctl/failure.h"
#include "dumpctl/printable.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/map_file_opener.h"
#include "proc/smaps_parser.h"

namespace dumpctl {
namespace {

void Append(ResourceRefusals& to, ResourceRefusals from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

ResourceRefusals RefuseSession(const DumpOptions& options, const Target& root) {
  if (root.stat.session == root.pid || options.terminals.shell_job) return {};
  return {{root.pid, absl::StrCat("session ", root.stat.session),
           "the session's leader is not part of the dump, so that a restore could not make the "
           "session",
           "add --shell-job (-j): a restore then runs it in the session of who restores"}};
}

// A child may end at any time, and what is seen of it then says nothing. Without the root there is
// nothing to be dumped.
bool HasGone(const Target& target, std::span<const Target> targets) {
  return &target != &targets.front() && (IsDead(target) || HasEnded(target));
}

// What the tree is as a whole. Processes that end meanwhile are nothing to be refused.
absl::StatusOr<ResourceRefusals> RefuseTree(std::span<const Target> targets, ObjectOrder& order) {
  std::vector<pid_t> pids;
  for (const Target& target : targets) pids.push_back(target.pid);
  const absl::StatusOr<std::vector<ObjectIds>> ids = IdentifyObjects(pids, order);
  // One has gone. Frozen, they are asked again.
  if (absl::IsNotFound(ids.status())) return ResourceRefusals();
  RETURN_IF_ERROR(ids.status());
  std::vector<TaskStat> tree;
  std::vector<ObjectIds> objects;
  for (size_t i = 0; i < targets.size(); ++i) {
    if (HasEnded(targets[i])) continue;
    tree.push_back(targets[i].stat);
    objects.push_back((*ids)[i]);
  }
  ResourceRefusals refusals = RefuseLineage(tree);
  Append(refusals, RefuseShared(tree, objects));
  return refusals;
}

// Which one a task is in.
absl::StatusOr<uint64_t> MountNamespace(const Target& target) {
  struct stat stat = {};
  if (fstatat(target.dir.fd().get(), "ns/mnt", &stat, 0) < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(target.dir.path(), "/ns/mnt"));
  }
  return stat.st_ino;
}

// What reading the flags of these mappings from smaps takes, in us, while the target stands still:
// some 6 for a mapping and 11 for a resident MB.
uint64_t SmapsCost(const Resident& resident, size_t mappings) {
  return 6 * mappings + 11 * resident.all / 256;
}

// What it is read into, by two.
uint64_t BufferFor(const Resident& resident) {
  const uint64_t own = resident.all - std::min(resident.all, resident.shared);
  return std::min(own * kImagePageSize, 2 * kDrainBuffer);
}

// Loading a BPF program takes 4 ms on another CPU, while the targets run.
void LoadFlagsByBpf(std::span<const Target> targets, Preflight& preflight) {
  std::vector<pid_t> pids;
  for (const Target& target : targets) pids.push_back(target.pid);
  preflight.flags_by_bpf = std::async(std::launch::async, [pids]() -> absl::StatusOr<BpfVmFlags> {
    const TraceSpan span(TraceKind::kThread, "load the program of VmFlags");
    ASSIGN_OR_RETURN(BpfVmFlags flags, BpfVmFlags::Load());
    // The others, and whoever cannot be, are when they are read.
    constexpr size_t kMostAttached = 1000;
    for (const pid_t pid : std::span(pids).first(std::min(pids.size(), kMostAttached))) {
      flags.Attach(pid).IgnoreError();
    }
    return flags;
  });
}

absl::Status OpenMappedFiles(const Target& target, Preflight& preflight) {
  TaskPreflight& task = preflight.tasks[target.pid];
  // The target runs: what maps told may be gone when it is opened.
  constexpr int kTries = 3;
  for (int i = 0; i < kTries; ++i) {
    if (i > 0) {
      ASSIGN_OR_RETURN(task.maps_text, target.dir.Read("maps"));
    }
    ASSIGN_OR_RETURN(std::vector<Mapping> mappings, ParseMaps(task.maps_text));
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

// Where a text is long, what becomes of it takes much memory, and so does the text.
absl::StatusOr<std::string> ReadMapsText(const ProcDir& task) {
  constexpr size_t kLong = 256 << 10;
  constexpr size_t kHeapForLong = 4 << 20;
  std::string text;
  RETURN_IF_ERROR(task.ReadPieces("maps", [&text](std::string_view piece) {
    if (text.size() >= kLong && text.capacity() < kHeapForLong / 4) {
      ReserveHeap(kHeapForLong);
      text.reserve(kHeapForLong / 4);
    }
    text.append(piece);
    return absl::OkStatus();
  }));
  return text;
}

// `descriptors`: how many the tasks have.
absl::Status ReadMaps(std::span<const Target> targets, size_t descriptors,
                      const KernelFeatures& features, Preflight& preflight) {
  const TraceSpan span(TraceKind::kWork, "maps and heap");
  constexpr size_t kHeap = 96 << 10;
  constexpr size_t kHeapForTask = 32 << 10;
  constexpr size_t kHeapForThread = 6 << 10;
  constexpr size_t kHeapForMapping = 512;
  constexpr size_t kHeapForDescriptor = 1536;
  constexpr uint64_t kSlow = 10'000;
  constexpr uint64_t kCgroupCost = 20;  // us, for a thread
  uint64_t cost = 0;
  uint64_t cgroups = 0;
  uint64_t buffer = 0;
  size_t heap = kHeap + descriptors * kHeapForDescriptor;
  for (const Target& target : targets) {
    absl::StatusOr<std::string> read = ReadMapsText(target.dir);
    if (!read.ok() && HasGone(target, targets)) continue;
    RETURN_IF_ERROR(read.status());
    const std::string& text = preflight.tasks[target.pid].maps_text = *std::move(read);
    const size_t mappings = CountMappings(text);
    // Their list, with its names, twice, and what becomes of it.
    heap += kHeapForTask + target.threads * kHeapForThread + mappings * kHeapForMapping +
            2 * text.size();
    const Resident resident = ResidentOf(target);
    cost += SmapsCost(resident, mappings);
    cgroups += target.threads * kCgroupCost;
    buffer = std::max(buffer, BufferFor(resident));
  }
  ReserveHeap(heap + buffer);
  // To start a thread, to wake it twice and to end it take as long.
  constexpr uint64_t kWorthThread = 500;
  constexpr uint64_t kNameCost = 3;  // us, for a descriptor
  preflight.worth_helper = cost + cgroups + descriptors * kNameCost >= kWorthThread;
  if (features.Has(KernelFeature::kBpfTaskVma) && cost > kSlow) LoadFlagsByBpf(targets, preflight);
  return absl::OkStatus();
}

// Shared memory that its descriptors refer to, which has no name to be found by.
absl::Status LookAtMemfds(const Target& target, const std::vector<Descriptor>& descriptors,
                          Preflight& preflight) {
  for (const Descriptor& descriptor : descriptors) {
    if (!S_ISREG(descriptor.stat.st_mode) || descriptor.stat.st_nlink > 0) continue;
    const std::string& link = descriptor.link.value();
    if (FileKindOf(descriptor.stat, link, 0) != FileKind::kMemfd) continue;
    if (IsMemfd(descriptor.stat, link, preflight.kernel_tmpfs)) {
      preflight.shared_memory.insert(descriptor.stat.st_ino);
      continue;
    }
    const WhyNot why_not = WhyNotMemfd();
    preflight.blockers.push_back({target.pid,
                                  absl::StrCat("fd ", descriptor.number, " (memfd, ", link, ")"),
                                  std::string(why_not.why), std::string(why_not.remedy)});
  }
  return absl::OkStatus();
}

absl::StatusOr<ResourceRefusals> RefuseNamespaceFiles(const Target& target,
                                                      const std::vector<Descriptor>& descriptors,
                                                      const NamespaceLinks& task) {
  ResourceRefusals refusals;
  for (const Descriptor& descriptor : descriptors) {
    if (!S_ISREG(descriptor.stat.st_mode)) continue;
    const std::string& link = descriptor.link.value();
    if (FileKindOf(descriptor.stat, link, 0) != FileKind::kNamespace) continue;
    auto made = NamespaceFile(descriptor.stat.st_ino, task, {});
    const auto* why_not = std::get_if<WhyNotText>(&made);
    if (why_not == nullptr) continue;
    refusals.push_back({target.pid,
                        absl::StrCat("fd ", descriptor.number, " (namespace, ", link, ")"),
                        why_not->why, why_not->remedy});
  }
  return refusals;
}

// Whether it is the root or came out of it; what has gone meanwhile is asked again, frozen.
bool IsBelow(pid_t pid, pid_t root) {
  while (pid > 1 && pid != root) {
    const absl::StatusOr<ProcDir> dir = ProcDir::OpenTask(pid);
    if (!dir.ok()) return true;
    const absl::StatusOr<std::string> text = dir->ReadWhole("stat");
    if (!text.ok()) return true;
    const absl::StatusOr<TaskStat> stat = ParseStat(*text);
    pid = stat.ok() ? stat->ppid : 0;
  }
  return pid == root;
}

absl::StatusOr<ResourceRefusals> RefusePidfds(const Target& target, pid_t root,
                                              const std::vector<Descriptor>& descriptors) {
  ResourceRefusals refusals;
  for (const Descriptor& descriptor : descriptors) {
    const std::string& link = descriptor.link.value();
    if (FileKindOf(descriptor.stat, link, 0) != FileKind::kPidfd) continue;
    ASSIGN_OR_RETURN(const FdInfo info, ParseFdInfo(descriptor.info_text));
    ASSIGN_OR_RETURN(const std::optional<WhyNot> why_not,
                     WhyNotPidfd(descriptor.info_text, info.flags,
                                 [root](pid_t pid) { return IsBelow(pid, root); }));
    if (!why_not) continue;
    refusals.push_back({target.pid, absl::StrCat("fd ", descriptor.number, " (pidfd, ", link, ")"),
                        std::string(why_not->why), std::string(why_not->remedy)});
  }
  return refusals;
}

size_t QuickCountOfDescriptors(std::span<const Target> targets) {
  size_t count = 0;
  for (const Target& target : targets) count += QuickCountOfDescriptors(target.dir);
  return count;
}

// Whether they have sockets, or may have some.
bool HasSockets(std::span<const Target> targets) {
  for (const Target& target : targets) {
    const absl::StatusOr<std::vector<int>> numbers = ListNumbers(target.dir, "fd");
    if (!numbers.ok()) return true;
    for (const int number : *numbers) {
      struct stat stat = {};
      const std::string link = absl::StrCat("fd/", number);
      if (fstatat(target.dir.fd().get(), link.c_str(), &stat, 0) < 0) continue;
      if (S_ISSOCK(stat.st_mode)) return true;
    }
  }
  return false;
}

void LoadOpenFiles(Preflight& preflight) {
  absl::StatusOr<MountWatch> mounts = MountWatch::Start();
  if (mounts.ok()) preflight.mounts = *std::move(mounts);
  absl::StatusOr<BpfOpenFiles> loaded = BpfOpenFiles::Load();
  if (loaded.ok()) preflight.open_files = *std::move(loaded);
}

// What is told apart over the whole tree.
struct Peeked {
  pid_t root = 0;
  std::vector<PeekedSocket> sockets;
  std::set<std::pair<dev_t, ino_t>> kept;  // of what a copy has to be kept (IsKept)
  std::vector<PeekedTerminal> terminals;
};

absl::Status PeekAt(const Target& target, const std::vector<Descriptor>& descriptors,
                    const Preflight& preflight, Peeked& peeked) {
  for (const Descriptor& descriptor : descriptors) {
    if (S_ISSOCK(descriptor.stat.st_mode)) {
      peeked.sockets.push_back({target.pid, descriptor.number, descriptor.stat.st_ino});
    }
    // In which pipes something waits BPF alone tells.
    const bool may_be_empty = !preflight.open_files && S_ISFIFO(descriptor.stat.st_mode);
    if (!may_be_empty && IsKept(descriptor)) {
      peeked.kept.insert({descriptor.stat.st_dev, descriptor.stat.st_ino});
    }
    ASSIGN_OR_RETURN(std::optional<PeekedTerminal> terminal, PeekTerminal(target.pid, descriptor));
    if (terminal) peeked.terminals.push_back(*std::move(terminal));
  }
  return absl::OkStatus();
}

void CountSharedMemory(const VmaList& vmas, std::set<ino_t>& objects) {
  for (const Vma& vma : vmas) {
    const bool shared = vma.kind == VmaKind::kAnonShared || vma.kind == VmaKind::kMemfd ||
                        vma.kind == VmaKind::kSysvShm;
    if (shared && vma.facts) objects.insert(vma.facts->shmem_id);
  }
}

absl::StatusOr<std::vector<Descriptor>> Peek(const Target& target, const Preflight& preflight) {
  if (!preflight.open_files) return PeekDescriptors(target.dir);
  return PeekDescriptors(target.dir, target.pid, *preflight.open_files,
                         QuickCountOfDescriptors(target.dir));
}

// All that stands in the way of a task, but what goes into `peeked`.
absl::StatusOr<ResourceRefusals> LookAtTask(const Target& target, const NamespaceLinks& roots,
                                            Preflight& preflight, Peeked& peeked) {
  const TraceSpan span(TraceKind::kTask, "look at", {{"pid", target.pid}});
  NamespaceLinks theirs = roots;
  if (target.pid != peeked.root) {
    ASSIGN_OR_RETURN(theirs, ReadNamespaces(target.dir));
  }
  ResourceRefusals refusals =
      RefuseForeignNamespaces(target.pid, theirs, preflight.namespaces, roots);
  if (target.shadow_stack) {
    const WhyNot why_not = WhyNotShadowStack();
    refusals.push_back(
        {target.pid, "its shadow stack", std::string(why_not.why), std::string(why_not.remedy)});
  }
  ASSIGN_OR_RETURN(std::vector<Descriptor> descriptors, Peek(target, preflight));
  if (HasEventQueues(descriptors)) {
    const UniqueFd pidfd = target.OpenPidfd();
    PeekUnreadEvents(BorrowedFd(pidfd), descriptors);
  }
  RETURN_IF_ERROR(PeekAt(target, descriptors, preflight, peeked));
  ASSIGN_OR_RETURN(ResourceRefusals refused,
                   RefuseDescriptors(target.pid, descriptors, preflight.file_rules));
  Append(refusals, std::move(refused));
  ASSIGN_OR_RETURN(refused, RefuseLinkedFiles(target, preflight.file_rules));
  Append(refusals, std::move(refused));
  ASSIGN_OR_RETURN(refused, RefuseNamespaceFiles(target, descriptors, theirs));
  Append(refusals, std::move(refused));
  ASSIGN_OR_RETURN(refused, RefusePidfds(target, peeked.root, descriptors));
  Append(refusals, std::move(refused));
  RETURN_IF_ERROR(LookAtMemfds(target, descriptors, preflight));
  RETURN_IF_ERROR(OpenMappedFiles(target, preflight));
  TaskPreflight& task = preflight.tasks[target.pid];
  if (preflight.open_files) task.descriptors = std::move(descriptors);
  if (task.vmas) {
    Append(refusals, RefuseMappings(target.pid, *task.vmas));
    CountSharedMemory(*task.vmas, preflight.shared_memory);
    Append(refusals, RefuseMappedFiles(target.pid, *task.vmas, preflight.file_rules));
  }
  return refusals;
}

absl::Status LookAtTasks(std::span<const Target> targets, Preflight& preflight, Peeked& peeked) {
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenTask(getpid()));
  ASSIGN_OR_RETURN(preflight.namespaces, ReadNamespaces(self));
  ASSIGN_OR_RETURN(const NamespaceLinks roots, ReadNamespaces(targets.front().dir));
  const std::string label = SecurityLabelOf(self);
  for (const Target& target : targets) {
    absl::StatusOr<ResourceRefusals> refusals = LookAtTask(target, roots, preflight, peeked);
    if ((!refusals.ok() || !refusals->empty()) && HasGone(target, targets)) {
      preflight.tasks.erase(target.pid);
      continue;
    }
    RETURN_IF_ERROR(refusals.status());
    Append(preflight.blockers, *std::move(refusals));
    ResourceRefusals labelled = RefuseSecurityLabel(target.pid, SecurityLabelOf(target.dir), label);
    // Who has gone has none.
    if (!labelled.empty() && HasGone(target, targets)) continue;
    Append(preflight.blockers, std::move(labelled));
  }
  return absl::OkStatus();
}

ResourceRefusals RefuseSharedMemory(const Preflight& preflight) {
  std::vector<SharedMappings> tasks;
  for (const auto& [pid, task] : preflight.tasks) {
    if (task.vmas) tasks.push_back(SharedMappingsOf(pid, *task.vmas));
  }
  return RefuseSharedOrder(tasks);
}

// Also loads what tells more of them when they are frozen.
absl::Status LookAtAioRings(const KernelFeatures& features, std::span<const Target> targets,
                            Preflight& preflight) {
  for (const Target& target : targets) {
    const auto task = preflight.tasks.find(target.pid);
    if (task == preflight.tasks.end() || !task->second.vmas) continue;
    const VmaList& vmas = *task->second.vmas;
    if (!HasAioRings(vmas)) continue;
    if (!preflight.aio_contexts && features.Has(KernelFeature::kBpfTaskVma)) {
      absl::StatusOr<BpfAioContexts> loaded = BpfAioContexts::Load();
      if (loaded.ok()) preflight.aio_contexts = *std::move(loaded);
    }
    if (!preflight.aio_contexts) {
      Append(preflight.blockers, RefuseUntoldRings(target.pid, vmas));
      continue;
    }
    absl::StatusOr<ResourceRefusals> stuck =
        RefuseStuckRings(target.dir, target.pid, vmas, *preflight.aio_contexts);
    if ((!stuck.ok() || !stuck->empty()) && HasGone(target, targets)) continue;
    RETURN_IF_ERROR(stuck.status());
    Append(preflight.blockers, *std::move(stuck));
  }
  return absl::OkStatus();
}

absl::StatusOr<ResourceRefusals> RefuseSysv(const Preflight& preflight) {
  std::vector<SysvAttachment> attachments;
  std::vector<pid_t> pids;
  for (const auto& [pid, task] : preflight.tasks) {
    pids.push_back(pid);
    if (!task.vmas) continue;
    const std::vector<SysvAttachment> attached = SysvAttachmentsOf(pid, *task.vmas);
    attachments.insert(attachments.end(), attached.begin(), attached.end());
  }
  ASSIGN_OR_RETURN(const SysvIpc ipc, ReadSysvIpc(attachments, pids));
  return RefuseSysvIpc(ipc, attachments, pids);
}

// What we hold besides: of the dump as a whole, and of each task.
constexpr size_t kOurDescriptors = 200;
constexpr size_t kDescriptorsOfTask = 4;

// That we may not have as many files open as have to be kept of theirs.
absl::StatusOr<ResourceRefusals> RefuseTooMany(const Peeked& peeked) {
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenTask(getpid()));
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return absl::ErrnoToStatus(errno, "getrlimit");
  const size_t needed = peeked.kept.size() + QuickCountOfDescriptors(self);
  if (needed <= limit.rlim_cur) return ResourceRefusals();
  return ResourceRefusals{
      {peeked.root, "its open files",
       absl::StrCat("of ", peeked.kept.size(),
                    " (sockets, terminals, deleted files, and pipes in which something waits) a "
                    "dump holds copies, and dumpctl may have ",
                    limit.rlim_cur, " files open"),
       absl::StrCat("raise its RLIMIT_NOFILE (ulimit -n ", 2 * needed, ")")}};
}

}  // namespace

absl::StatusOr<Preflight> RunPreflight(const DumpOptions& options, std::span<const Target> targets,
                                       const KernelFeatures& features) {
  Preflight preflight;
  preflight.blockers = RefuseSession(options, targets.front());
  ASSIGN_OR_RETURN(ResourceRefusals refusals, RefuseTree(targets, preflight.object_order));
  Append(preflight.blockers, std::move(refusals));
  ASSIGN_OR_RETURN(PeekedCgroups cgroups, PeekCgroups(targets, options.cgroups));
  preflight.cgroups_differ = cgroups.differ;
  preflight.dumpers_cgroups = std::move(cgroups.dumpers);
  Append(preflight.blockers, std::move(cgroups.refusals));
  ASSIGN_OR_RETURN(preflight.mount_namespace, MountNamespace(targets.front()));
  preflight.cache = std::make_unique<MappedFileCache>();
  ASSIGN_OR_RETURN(preflight.kernel_tmpfs, KernelTmpfsDevice());
  preflight.file_rules = {.ghost_limit = options.ghost_limit,
                          .locks = options.file_locks,
                          .link_remap = options.link_remap,
                          .leave_running = options.outcome == Outcome::kRunning,
                          .external = options.external_files,
                          .kernel_tmpfs = preflight.kernel_tmpfs};
  preflight.peek_guardian = std::make_unique<PeekGuardian>();
  const size_t descriptors = QuickCountOfDescriptors(targets);
  // Other threads are started below, and who shares our table.
  ReserveDescriptors(kOurDescriptors + kDescriptorsOfTask * targets.size() + descriptors);
  // Loading what reads them takes as long as reading some hundreds of them otherwise.
  constexpr size_t kManyDescriptors = 500;
  const bool many = descriptors >= kManyDescriptors;
  // To look at so many of them takes less time than to ask for the sockets of others.
  constexpr size_t kFewDescriptors = 32;
  // Where there can be none, who needs one says so.
  if (many) preflight.peek_guardian->Start().IgnoreError();
  RETURN_IF_ERROR(ReadMaps(targets, descriptors, features, preflight));
  if (many && features.Has(KernelFeature::kBpfTaskFile)) LoadOpenFiles(preflight);
  // Before the descriptors, so that none of them is of a socket whose other end was too young.
  absl::StatusOr<UnixSocketRows> rows = UnixSocketRows();
  if (descriptors > kFewDescriptors || HasSockets(targets)) rows = AskForUnixSockets();
  Peeked peeked;
  peeked.root = targets.front().pid;
  RETURN_IF_ERROR(LookAtTasks(targets, preflight, peeked));
  ASSIGN_OR_RETURN(ResourceRefusals too_many, RefuseTooMany(peeked));
  Append(preflight.blockers, std::move(too_many));
  Append(preflight.blockers, RefuseSharedMemory(preflight));
  RETURN_IF_ERROR(LookAtAioRings(features, targets, preflight));
  ASSIGN_OR_RETURN(ResourceRefusals sysv, RefuseSysv(preflight));
  Append(preflight.blockers, std::move(sysv));
  ASSIGN_OR_RETURN(
      ResourceRefusals refused,
      RefuseSockets(rows, peeked.sockets, options.external_unix_sockets, options.inet));
  Append(preflight.blockers, std::move(refused));
  constexpr size_t kManySockets = 200;  // loading it takes as long as asking these
  if (peeked.sockets.size() >= kManySockets && features.Has(KernelFeature::kBpfTaskFile)) {
    absl::StatusOr<SocketLikeness> likeness = SocketLikeness::Load();
    if (likeness.ok()) preflight.socket_likeness = *std::move(likeness);
  }
  if (!peeked.terminals.empty() && features.Has(KernelFeature::kBpfTaskFile)) {
    absl::StatusOr<BpfTerminalQueues> queues = BpfTerminalQueues::Load();
    if (queues.ok()) preflight.terminal_queues = *std::move(queues);
  }
  ASSIGN_OR_RETURN(refused, RefuseTerminals(peeked.terminals, targets, options.terminals));
  Append(preflight.blockers, std::move(refused));
  return preflight;
}

std::string RefusalText(const ResourceRefusal& refusal) {
  return absl::StrCat("process ", refusal.pid, ", ", Printable(refusal.resource), ": ", refusal.why,
                      "; ", refusal.remedy);
}

absl::Status RefusedStatus(const ResourceRefusals& refusals, bool frozen) {
  std::string message =
      frozen ? "refused, with all put back" : "refused before anything was changed";
  if (refusals.size() > 1) absl::StrAppend(&message, ", for ", refusals.size(), " reasons");
  message += ":";
  for (const ResourceRefusal& refusal : refusals) {
    absl::StrAppend(&message, refusals.size() > 1 ? "\n  " : " ", RefusalText(refusal));
  }
  return MakeFailure(Failure::kRefused, absl::StatusCode::kUnimplemented, message);
}

}  // namespace dumpctl
