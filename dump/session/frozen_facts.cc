#include "dump/session/frozen_facts.h"

#include <time.h>

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/session/tree_descriptors.h"
#include "dump/session/tree_mappings.h"
#include "dump/session/tree_sockets.h"
#include "dump/session/tree_terminals.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/status_parser.h"

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

void Take(SideFacts side, FrozenFacts& facts) {
  facts.exe = std::move(side.exe);
  facts.cwd = std::move(side.cwd);
  facts.root = std::move(side.root);
  facts.timens_offsets_text = std::move(side.timens_offsets_text);
  facts.namespaces = std::move(side.namespaces);
  facts.others_of_children = std::move(side.others_of_children);
  facts.process.texts = std::move(side.texts);
}

absl::Status IdentifyTasks(const FrozenTree& tree, ObjectOrder& order, TreeFacts& facts) {
  const TraceSpan span(TraceKind::kWork, "identify", {{"tasks", tree.tasks().size()}});
  std::vector<pid_t> pids;
  for (const FrozenTask& task : tree.tasks()) pids.push_back(task.pid());
  ASSIGN_OR_RETURN(const std::vector<ObjectIds> ids, IdentifyObjects(pids, order));
  for (size_t i = 0; i < ids.size(); ++i) facts.tasks[i].objects = ids[i];
  return absl::OkStatus();
}

}  // namespace

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

absl::Status ReadHoldings(const FrozenTree& tree, Preflight& preflight, const BpfVmFlags* by_bpf,
                          const KernelFeatures& features, SideFactsRead side, TreeFacts& facts) {
  facts.file_rules = preflight.file_rules;
  facts.dumper_namespaces = preflight.namespaces;
  RETURN_IF_ERROR(IdentifyTasks(tree, preflight.object_order, facts));
  ASSIGN_OR_RETURN(std::optional<OpenFileIndex> opened, IndexOpenFiles(tree, preflight, facts));
  OpenFileIndex* const index = opened ? &*opened : nullptr;
  RETURN_IF_ERROR(ReadTreeMappings(tree, preflight, by_bpf, facts));
  auto scanning = ScanBeside(tree, features, preflight, facts);
  const absl::Status read = ReadTreeDescriptors(tree, preflight, index, facts);
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

}  // namespace dumpctl
