#include "dump/session/frozen_facts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/session/aio_rings.h"
#include "dump/session/tree_sockets.h"
#include "dump/session/tree_terminals.h"
#include "dump/tracee/remote_syscalls.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/map_file_opener.h"
#include "proc/same_mappings.h"
#include "proc/smaps_entries.h"
#include "proc/smaps_parser.h"
#include "proc/status_parser.h"
#include "proc/text_fields.h"
#include "proc/timers_parser.h"

namespace dumpctl {
namespace {

absl::Status RefuseForeignRegisters(const FrozenTask& task) {
  for (const FrozenThread& thread : task.threads()) {
    if (!IsForeignAbi(thread.registers)) continue;
    return MakeFailure(Failure::kForeignAbi, absl::StatusCode::kUnimplemented,
                       absl::StrCat("thread ", thread.tid, " of process ", task.pid(),
                                    " runs 32-bit code, which this version does not dump"));
  }
  return absl::OkStatus();
}

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

// No system call may be run in such a thread: strict mode would kill it.
absl::Status CannotSuspendSeccomp(const FrozenTask& task, pid_t tid) {
  return MakeFailure(
      Failure::kPermission, absl::StatusCode::kPermissionDenied,
      absl::StrCat("thread ", tid, " of process ", task.pid(),
                   " runs under seccomp: dumping it needs CAP_SYS_ADMIN, and a dumpctl "
                   "that is not under seccomp itself; run dumpctl as root, outside of "
                   "a container"));
}

absl::Status ReadThreads(const FrozenTask& task, SeccompCollector& seccomp, FrozenFacts& facts) {
  facts.threads.reserve(task.threads().size());
  std::map<uint64_t, size_t> by_credentials;  // the first thread that has them
  for (const FrozenThread& thread : task.threads()) {
    std::optional<size_t> like;
    if (thread.row) {
      const size_t next = facts.threads.size();
      const auto [known, is_new] = by_credentials.emplace(thread.row->credentials, next);
      if (!is_new) like = known->second;
    }
    ASSIGN_OR_RETURN(ThreadFacts read, ReadThreadFacts(task, thread, like));
    facts.threads.push_back(std::move(read));
    std::optional<uint32_t>& filter = facts.seccomp_filters.emplace_back();
    if (!facts.threads.back().seccomp) continue;
    if (!thread.seccomp_suspended) return CannotSuspendSeccomp(task, thread.tid);
    ASSIGN_OR_RETURN(filter, seccomp.Collect(thread.tid));
  }
  return absl::OkStatus();
}

constexpr blksize_t kImagePageSizeAsBlock = kImagePageSize;

// The memfds among the descriptors, besides those that are mapped.
absl::Status ReadMemfds(const std::vector<Descriptor>& descriptors, dev_t kernel_tmpfs,
                        TreeFacts& facts) {
  for (const Descriptor& descriptor : descriptors) {
    const struct stat& stat = descriptor.stat;
    // Few are of this file system, and links are dear.
    const bool may_be_huge = stat.st_nlink == 0 && stat.st_blksize > kImagePageSizeAsBlock;
    if (stat.st_dev != kernel_tmpfs && !may_be_huge) continue;
    if (facts.shared_memory.contains(stat.st_ino)) continue;
    if (!descriptor.copy) continue;  // it was looked at when it was met first
    ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenTask(getpid()));
    ASSIGN_OR_RETURN(const std::string link, DescriptorLink(self, descriptor.copy.get()));
    if (!IsMemfd(stat, link, kernel_tmpfs)) continue;
    ASSIGN_OR_RETURN(facts.shared_memory,
                     AddMemfd(BorrowedFd(descriptor.copy), link, std::move(facts.shared_memory)));
  }
  return absl::OkStatus();
}

absl::Status ReadSysv(TreeFacts& facts) {
  std::vector<pid_t> pids;
  for (const FrozenFacts& task : facts.tasks) {
    pids.push_back(task.process.pid);
    const std::vector<SysvAttachment> attached = SysvAttachmentsOf(task.process.pid, task.vmas);
    facts.sysv_attachments.insert(facts.sysv_attachments.end(), attached.begin(), attached.end());
  }
  ASSIGN_OR_RETURN(facts.sysv, ReadSysvIpc(facts.sysv_attachments, pids));
  return absl::OkStatus();
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

void Take(SideFacts side, FrozenFacts& facts) {
  facts.exe = std::move(side.exe);
  facts.cwd = std::move(side.cwd);
  facts.root = std::move(side.root);
  facts.auxv = std::move(side.auxv);
  facts.timens_offsets_text = std::move(side.timens_offsets_text);
  facts.namespaces = std::move(side.namespaces);
  facts.process.texts = std::move(side.texts);
}

// BPF gives both, and takes a quarter of the time that maps takes.
absl::Status ReadMappingsWithFlags(const FrozenTask& task, Preflight& preflight,
                                   const BpfVmFlags& by_bpf, FrozenFacts& facts) {
  absl::StatusOr<BpfMappings> now = by_bpf.Read(task.pid());
  if (now.ok()) {
    std::optional<VmaList>& before = preflight.tasks[task.pid()].vmas;
    const bool same = before && AreMappedStill(*before, *now) && HaveTheirNames(*before);
    facts.flags = ReadFlags{std::move(now->flags), true};
    if (same) {
      facts.vmas = *std::exchange(before, std::nullopt);
      return absl::OkStatus();
    }
  } else {
    ASSIGN_OR_RETURN(facts.flags, ReadFlagsFromSmaps(task));
  }
  ASSIGN_OR_RETURN(facts.vmas, ReadMappings(task, preflight));
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
  ASSIGN_OR_RETURN(facts.vmas, ReadMappings(task, preflight));
  return absl::OkStatus();
}

absl::Status ReadTaskMappings(const FrozenTask& task, Preflight& preflight,
                              const BpfVmFlags* by_bpf, FrozenFacts& facts) {
  if (by_bpf != nullptr) return ReadMappingsWithFlags(task, preflight, *by_bpf, facts);
  if (!preflight.worth_helper) return ReadMappingsBySmaps(task, preflight, facts);
  ASSIGN_OR_RETURN(facts.vmas, ReadMappings(task, preflight));
  return absl::OkStatus();
}

absl::Status ReadAllMappings(const FrozenTree& tree, Preflight& preflight, const BpfVmFlags* by_bpf,
                             TreeFacts& facts) {
  for (size_t i = 0; i < facts.tasks.size(); ++i) {
    FrozenFacts& task = facts.tasks[i];
    TraceSpan span(TraceKind::kTask, "mappings", {{"pid", task.process.pid}});
    RETURN_IF_ERROR(ReadTaskMappings(tree.tasks()[i], preflight, by_bpf, task));
    RETURN_IF_ERROR(SettleAio(preflight, task));
    ASSIGN_OR_RETURN(facts.shared_memory,
                     FindSharedObjects(task.vmas, std::move(facts.shared_memory)));
    span.Tell({"mappings", task.vmas.size()});
  }
  return absl::OkStatus();
}

// Which pages there are, of all tasks. Their mappings must be there, and stay. Not by the helper,
// whom the flags of many mappings keep busy for long.
std::future<absl::StatusOr<std::vector<ScannedPages>>> ScanBeside(const FrozenTree& tree,
                                                                  const KernelFeatures& features,
                                                                  const TreeFacts& facts) {
  const auto scan = [&]() -> absl::StatusOr<std::vector<ScannedPages>> {
    std::vector<ScannedPages> scanned;
    for (size_t i = 0; i < facts.tasks.size(); ++i) {
      TraceSpan span(TraceKind::kTask, "pages", {{"pid", facts.tasks[i].process.pid}});
      ASSIGN_OR_RETURN(ScannedPages found,
                       ScanPages(tree.tasks()[i].dir(), facts.tasks[i].vmas, features));
      span.Tell({"pages", found.pages});
      scanned.push_back(std::move(found));
    }
    return scanned;
  };
  const bool beside = facts.tasks.size() >= kWorthWaking;
  return std::async(beside ? std::launch::async : std::launch::deferred, scan);
}

// Copies of pipes, which are of no more use.
void CloseTeed(std::vector<Descriptor>& descriptors) {
  for (Descriptor& descriptor : descriptors) {
    if (descriptor.copy && descriptor.link && descriptor.link->starts_with("pipe:")) {
      descriptor.copy.Reset();
    }
  }
}

// Where nothing was mounted, a link that is what it was leads where it led.
std::vector<Descriptor> TakePeeked(pid_t pid, bool mounts_changed, Preflight& preflight) {
  std::vector<Descriptor> peeked = std::move(preflight.tasks[pid].descriptors);
  if (mounts_changed) {
    for (Descriptor& descriptor : peeked) descriptor.named = false;
  }
  return peeked;
}

absl::Status ReadAllDescriptors(const FrozenTree& tree, Preflight& preflight, OpenFileIndex* index,
                                TreeFacts& facts) {
  std::set<uint32_t> tables;
  const bool mounts_changed = !preflight.mounts || preflight.mounts->Changed();
  for (size_t i = 0; i < facts.tasks.size(); ++i) {
    const FrozenTask& task = tree.tasks()[i];
    FrozenFacts& read = facts.tasks[i];
    if (!tables.insert(read.objects.files).second) continue;
    TraceSpan span(TraceKind::kTask, "descriptors", {{"pid", task.pid()}});
    ASSIGN_OR_RETURN(const UniqueFd pidfd, task.OpenPidfd());
    ASSIGN_OR_RETURN(read.descriptors,
                     ReadDescriptors(task.dir(), task.pid(), BorrowedFd(pidfd), index,
                                     TakePeeked(task.pid(), mounts_changed, preflight)));
    ASSIGN_OR_RETURN(facts.pipes, TeePipes(*read.descriptors, std::move(facts.pipes)));
    RETURN_IF_ERROR(ReadMemfds(*read.descriptors, preflight.kernel_tmpfs, facts));
    if (index != nullptr) CloseTeed(*read.descriptors);
    span.Tell({"descriptors", read.descriptors->size()});
  }
  return absl::OkStatus();
}

absl::Status IdentifyTasks(const FrozenTree& tree, ObjectOrder& order, TreeFacts& facts) {
  const TraceSpan span(TraceKind::kWork, "identify", {{"tasks", tree.tasks().size()}});
  std::vector<pid_t> pids;
  for (const FrozenTask& task : tree.tasks()) pids.push_back(task.pid());
  ASSIGN_OR_RETURN(const std::vector<ObjectIds> ids, IdentifyObjects(pids, order));
  for (size_t i = 0; i < ids.size(); ++i) facts.tasks[i].objects = ids[i];
  return absl::OkStatus();
}

// None where we may have as many files open as the tasks of the tree have, and these are few.
absl::StatusOr<std::optional<OpenFileIndex>> IndexOpenFiles(const FrozenTree& tree,
                                                            const Preflight& preflight,
                                                            const TreeFacts& facts) {
  if (preflight.open_files) return OpenFileIndex(*preflight.open_files);
  // What is open besides: mapped files, what waits in sockets, and a few for each task.
  constexpr size_t kOthers = 1000;
  constexpr size_t kOfTask = 4;
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return absl::ErrnoToStatus(errno, "getrlimit");
  size_t needed = kOthers;
  std::set<uint32_t> tables;
  for (size_t i = 0; i < facts.tasks.size(); ++i) {
    needed += kOfTask;
    if (!tables.insert(facts.tasks[i].objects.files).second) continue;
    const ProcDir& dir = tree.tasks()[i].dir();
    const size_t count = QuickCountOfDescriptors(dir);  // 0 before Linux 6.2
    needed += count;
    if (count > 0) continue;
    ASSIGN_OR_RETURN(const size_t listed, CountDescriptors(dir));
    needed += listed;
  }
  if (needed <= limit.rlim_cur) return std::nullopt;
  return OpenFileIndex();
}

// Signals that a task has handlers for, bit 0 = signal 1.
absl::StatusOr<uint64_t> CaughtSignals(const FrozenFacts& facts) {
  constexpr std::string_view kField = "SigCgt";
  const std::string_view text = StatusValue(facts.threads.front().status_text, kField);
  const std::optional<uint64_t> caught = NumberOf<uint64_t>(text, 16);
  if (!caught) return MalformedText("status", kField, text);
  return *caught;
}

absl::Status FinishAsking(LeaderQuestions& questions, RemoteSyscalls& calls, const FrozenTask& task,
                          FrozenFacts& facts) {
  const TraceSpan span(TraceKind::kTask, "ask", {{"pid", task.pid()}});
  ASSIGN_OR_RETURN(const std::vector<PosixTimer> timers, ParseTimers(facts.process.timers_text));
  std::vector<int> timer_ids;
  for (const PosixTimer& timer : timers) timer_ids.push_back(timer.id);
  ASSIGN_OR_RETURN(LeaderAnswers answers, questions.Finish(timer_ids));
  facts.process.answers = std::move(answers.process);
  ASSIGN_OR_RETURN(const std::vector<ThreadAnswers> threads,
                   AskThreads(calls, task.threads(), answers.thread));
  for (size_t i = 0; i < threads.size(); ++i) facts.threads[i].answers = threads[i];
  return calls.StartClose();
}

// While one does what it is told the next are told what to do.
absl::Status AskBesideEachOther(std::span<const FrozenTask> tasks, std::span<FrozenFacts> facts) {
  std::vector<RemoteSyscalls> calls;
  calls.reserve(tasks.size());
  for (size_t i = 0; i < tasks.size(); ++i) {
    ASSIGN_OR_RETURN(const uint64_t caught, CaughtSignals(facts[i]));
    ASSIGN_OR_RETURN(RemoteSyscalls away, RemoteSyscalls::Start(tasks[i], caught));
    calls.push_back(std::move(away));
  }
  std::vector<LeaderQuestions> questions;
  questions.reserve(tasks.size());
  for (size_t i = 0; i < tasks.size(); ++i) {
    ASSIGN_OR_RETURN(LeaderQuestions asked,
                     LeaderQuestions::Start(calls[i], tasks[i].threads().front()));
    questions.push_back(std::move(asked));
  }
  for (size_t i = 0; i < tasks.size(); ++i) {
    RETURN_IF_ERROR(FinishAsking(questions[i], calls[i], tasks[i], facts[i]));
  }
  for (RemoteSyscalls& away : calls) RETURN_IF_ERROR(away.Close());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<VmaList> ReadMappings(const FrozenTask& task, Preflight& preflight) {
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

absl::StatusOr<FrozenFacts> ReadTaskFacts(const FrozenTask& task, SeccompCollector& seccomp) {
  const TraceSpan span(TraceKind::kTask, "facts",
                       {{"pid", task.pid()}, {"threads", task.threads().size()}});
  RETURN_IF_ERROR(RefuseForeignRegisters(task));
  FrozenFacts facts;
  ASSIGN_OR_RETURN(facts.process, ReadProcessFacts(task));
  RETURN_IF_ERROR(ReadThreads(task, seccomp, facts));
  return facts;
}

absl::Status CheckMayRunCalls(const FrozenTask& task) {
  RETURN_IF_ERROR(RefuseForeignRegisters(task));
  const FrozenThread& leader = task.threads().front();
  if (leader.seccomp_suspended) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string text, task.dir().ReadWhole("status"));
  ASSIGN_OR_RETURN(const TaskStatus status, ParseStatus(text));
  return status.seccomp_mode == 0 ? absl::OkStatus() : CannotSuspendSeccomp(task, leader.tid);
}

absl::Status AskTasks(std::span<const FrozenTask> tasks, std::span<FrozenFacts> facts) {
  // Enough to keep all processors busy; each needs a descriptor meanwhile.
  constexpr size_t kAtOnce = 16;
  for (size_t begin = 0; begin < tasks.size(); begin += kAtOnce) {
    const size_t count = std::min(kAtOnce, tasks.size() - begin);
    RETURN_IF_ERROR(AskBesideEachOther(tasks.subspan(begin, count), facts.subspan(begin, count)));
  }
  return absl::OkStatus();
}

absl::Status ReadHoldings(const FrozenTree& tree, Preflight& preflight, const BpfVmFlags* by_bpf,
                          const KernelFeatures& features, SideFactsRead side, TreeFacts& facts) {
  facts.file_rules = preflight.file_rules;
  facts.dumper_namespaces = preflight.namespaces;
  RETURN_IF_ERROR(IdentifyTasks(tree, preflight.object_order, facts));
  ASSIGN_OR_RETURN(std::optional<OpenFileIndex> opened, IndexOpenFiles(tree, preflight, facts));
  OpenFileIndex* const index = opened ? &*opened : nullptr;
  RETURN_IF_ERROR(ReadAllMappings(tree, preflight, by_bpf, facts));
  auto scanning = ScanBeside(tree, features, facts);
  const absl::Status read = ReadAllDescriptors(tree, preflight, index, facts);
  // In any case: it looks into the facts.
  absl::StatusOr<std::vector<ScannedPages>> pages = scanning.get();
  RETURN_IF_ERROR(read);
  RETURN_IF_ERROR(pages.status());
  ASSIGN_OR_RETURN(std::vector<SideFacts> beside, side.get());
  for (size_t i = 0; i < facts.tasks.size(); ++i) {
    facts.tasks[i].pages = std::move((*pages)[i]);
    Take(std::move(beside[i]), facts.tasks[i]);
  }
  const TraceSpan rest(TraceKind::kWork, "shared by the tree");
  RETURN_IF_ERROR(ReadSysv(facts));
  const SocketLikeness* const likeness =
      preflight.socket_likeness ? &*preflight.socket_likeness : nullptr;
  RETURN_IF_ERROR(ReadSockets(tree, features, likeness, *preflight.peek_guardian, index, facts));
  preflight.peek_guardian.reset();
  RETURN_IF_ERROR(ReadTerminals(
      features, preflight.terminal_queues ? &*preflight.terminal_queues : nullptr, facts));
  ASSIGN_OR_RETURN(facts.pipes, TeePipes(facts.queued, std::move(facts.pipes)));
  RETURN_IF_ERROR(ReadMemfds(facts.queued, preflight.kernel_tmpfs, facts));
  clock_gettime(CLOCK_MONOTONIC, &facts.monotonic);
  clock_gettime(CLOCK_BOOTTIME, &facts.boottime);
  return absl::OkStatus();
}

absl::StatusOr<ReadFlags> ReadFlagsFromSmaps(const FrozenTask& task,
                                             absl::FunctionRef<void(std::string_view)> see) {
  ReadFlags read;
  SmapsEntries entries;
  const auto keep = [&](std::string_view head, std::string_view codes) -> absl::Status {
    see(head);
    ASSIGN_OR_RETURN(const MappingFlags mapping, ParseMappingFlags(head, codes));
    read.flags.push_back(mapping);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(task.dir().ReadPieces(
      "smaps", [&](std::string_view piece) { return entries.Take(piece, keep); }));
  RETURN_IF_ERROR(entries.Finish());
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
