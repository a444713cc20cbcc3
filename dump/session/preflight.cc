#include "dump/session/preflight.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dump/mm/shared_memory.h"
#include "dump/mm/shared_order.h"
#include "dump/ns/sysv_ipc.h"
#include "dump/session/aio_rings.h"
#include "dump/session/descriptor_room.h"
#include "dump/session/mapping_preflight.h"
#include "dump/session/socket_preflight.h"
#include "dump/session/task_preflight.h"
#include "dump/session/terminal_preflight.h"
#include "dump/session/tree_cgroups.h"
#include "dump/sk/unix_diag.h"
#include "dump/task/lineage.h"
#include "dump/task/shared_objects.h"
#include "dumpctl/failure.h"
#include "dumpctl/printable.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

ResourceRefusals RefuseSession(const DumpOptions& options, const Target& root) {
  if (root.stat.session == root.pid || options.terminals.shell_job) return {};
  return {{root.pid, absl::StrCat("session ", root.stat.session),
           "the session's leader is not part of the dump, so that a restore could not make the "
           "session",
           "add --shell-job (-j): a restore then runs it in the session of who restores"}};
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
  const auto look = [&](bool at_ended) {
    tree.clear();
    objects.clear();
    for (size_t i = 0; i < targets.size(); ++i) {
      if (!at_ended && HasEnded(targets[i])) continue;
      tree.push_back(targets[i].stat);
      objects.push_back((*ids)[i]);
    }
    ResourceRefusals refusals = RefuseLineage(tree);
    Append(refusals, RefuseShared(tree, objects));
    return refusals;
  };
  // Most have nothing to be refused, and then it is no matter who has ended.
  ResourceRefusals refusals = look(true);
  return refusals.empty() ? refusals : look(false);
}

// Which one a task is in.
absl::StatusOr<uint64_t> MountNamespace(const Target& target) {
  struct stat stat = {};
  if (fstatat(target.dir.fd().get(), "ns/mnt", &stat, 0) < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(target.dir.path(), "/ns/mnt"));
  }
  return stat.st_ino;
}

size_t QuickCountOfDescriptors(std::span<const Target> targets) {
  size_t count = 0;
  for (const Target& target : targets) count += QuickCountOfDescriptors(target.dir);
  return count;
}

// To look at so many of them takes less time than to ask for the sockets of others.
constexpr size_t kFewDescriptors = 32;

// Whether they have sockets, or may have some: where they are more, which kernels before Linux 6.2
// do not tell at once.
bool HasSockets(std::span<const Target> targets, Preflight& preflight) {
  bool found = false;
  size_t count = 0;
  for (const Target& target : targets) {
    absl::StatusOr<std::vector<Glance>> glances = GlanceAtDescriptors(target.dir);
    if (!glances.ok()) return true;
    count += glances->size();
    if (count > kFewDescriptors) return true;
    found = found || std::any_of(glances->begin(), glances->end(), [](const Glance& glance) {
              return S_ISSOCK(glance.stat.st_mode);
            });
    preflight.tasks[target.pid].glances = *std::move(glances);
  }
  return found;
}

void LoadOpenFiles(Preflight& preflight) {
  absl::StatusOr<MountWatch> mounts = MountWatch::Start();
  if (mounts.ok()) preflight.mounts = *std::move(mounts);
  absl::StatusOr<BpfOpenFiles> loaded = BpfOpenFiles::Load();
  if (loaded.ok()) preflight.open_files = *std::move(loaded);
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

// That we may not have as many files open as have to be kept of theirs.
absl::StatusOr<ResourceRefusals> RefuseTooMany(const Peeked& peeked) {
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
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
  ReserveDescriptors(OurDescriptors(targets.size()) + descriptors);
  // Loading what reads them takes as long as reading some hundred of them twice otherwise.
  constexpr size_t kManyDescriptors = 250;
  const bool many = descriptors >= kManyDescriptors;
  // Where there can be none, who needs one says so.
  if (many) preflight.peek_guardian->Start().IgnoreError();
  RETURN_IF_ERROR(ReadMaps(targets, descriptors, features, preflight));
  if (many && features.Has(KernelFeature::kBpfTaskFile)) LoadOpenFiles(preflight);
  // Before the descriptors, so that none of them is of a socket whose other end was too young.
  absl::StatusOr<UnixSocketRows> rows = UnixSocketRows();
  if (descriptors > kFewDescriptors || HasSockets(targets, preflight)) rows = AskForUnixSockets();
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
