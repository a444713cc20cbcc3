#include "dump/session/task_preflight.h"

#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "dump/fd/fd_collector.h"
#include "dump/fd/file_refusal.h"
#include "dump/fd/names_seen.h"
#include "dump/fd/pidfd_file.h"
#include "dump/fd/unread_events.h"
#include "dump/mm/shared_memory.h"
#include "dump/mm/vma_collector.h"
#include "dump/mm/vma_refusal.h"
#include "dump/ns/namespace_file.h"
#include "dump/session/mapping_preflight.h"
#include "dump/session/named_files.h"
#include "dump/task/security_label.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"

namespace dumpctl {
namespace {

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
    const absl::StatusOr<TaskStat> stat = StatOfTask(pid);
    if (!stat.ok()) return !absl::IsDataLoss(stat.status());
    pid = stat->ppid;
  }
  return pid == root;
}

absl::StatusOr<ResourceRefusals> RefusePidfds(const Target& target, pid_t root,
                                              const std::vector<Descriptor>& descriptors) {
  ResourceRefusals refusals;
  for (const Descriptor& descriptor : descriptors) {
    const std::string& link = descriptor.link.value();
    if (FileKindOf(descriptor.stat, link, 0) != FileKind::kPidfd) continue;
    ASSIGN_OR_RETURN(const FdInfo info, InfoOf(descriptor));
    ASSIGN_OR_RETURN(const std::optional<WhyNot> why_not,
                     WhyNotPidfd(descriptor.info_text, info.flags,
                                 [root](pid_t pid) { return IsBelow(pid, root); }));
    if (!why_not) continue;
    refusals.push_back({target.pid, absl::StrCat("fd ", descriptor.number, " (pidfd, ", link, ")"),
                        std::string(why_not->why), std::string(why_not->remedy)});
  }
  return refusals;
}

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

absl::StatusOr<std::vector<Descriptor>> Peek(const Target& target, Preflight& preflight) {
  const auto glances = std::exchange(preflight.tasks[target.pid].glances, std::nullopt);
  if (glances) return PeekDescriptors(target.dir, *glances);
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

}  // namespace

void Append(ResourceRefusals& to, ResourceRefusals from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

absl::Status LookAtTasks(std::span<const Target> targets, Preflight& preflight, Peeked& peeked) {
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
  ASSIGN_OR_RETURN(preflight.namespaces, ReadNamespaces(self));
  ASSIGN_OR_RETURN(const NamespaceLinks roots, ReadNamespaces(targets.front().dir));
  const bool labelled = AreTasksLabelled(self);
  const std::string label = labelled ? SecurityLabelOf(self) : "";
  // Tasks of a tree have much in common. Frozen, all is looked for again.
  preflight.file_rules.seen = std::make_shared<NamesSeen>();
  const absl::Cleanup forget = [&preflight] { preflight.file_rules.seen.reset(); };
  for (const Target& target : targets) {
    absl::StatusOr<ResourceRefusals> refusals = LookAtTask(target, roots, preflight, peeked);
    if ((!refusals.ok() || !refusals->empty()) && HasGone(target, targets)) {
      preflight.tasks.erase(target.pid);
      continue;
    }
    RETURN_IF_ERROR(refusals.status());
    Append(preflight.blockers, *std::move(refusals));
    if (!labelled) continue;
    ResourceRefusals refused = RefuseSecurityLabel(target.pid, SecurityLabelOf(target.dir), label);
    // Who has gone has none.
    if (!refused.empty() && HasGone(target, targets)) continue;
    Append(preflight.blockers, std::move(refused));
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
