#include "dump/session/image_forecast.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/fd/descriptor.h"
#include "dump/fd/file_refusal.h"
#include "dump/image/image_table.h"
#include "dump/ns/sysv_ipc.h"
#include "dump/session/terminal_preflight.h"
#include "dump/sk/inet_diag.h"
#include "dump/sk/unix_diag.h"
#include "dump/task/shared_objects.h"
#include "dumpctl/status_macros.h"
#include "proc/fdinfo_parser.h"

namespace dumpctl {
namespace {

// What the tree has of the things that have images of their own.
struct Holdings {
  std::set<std::pair<dev_t, ino_t>> ghosts;
  std::set<ino_t> sockets;
  bool pipes = false;  // that somebody of the tree can read from
  bool fifos = false;
  std::vector<SysvAttachment> attachments;
  bool remaps = false;
  bool locks = false;
  bool memfds = false;
  bool terminals = false;
};

class Looker {
 public:
  Looker(const DumpOptions& options, const FileRules& rules) : options_(options), rules_(rules) {}

  absl::Status LookAt(const Target& target) {
    ASSIGN_OR_RETURN(const std::vector<Descriptor> descriptors, PeekDescriptors(target.dir));
    for (const Descriptor& descriptor : descriptors) RETURN_IF_ERROR(Count(descriptor));
    for (const char* const link : {"exe", "cwd", "root"}) {
      ASSIGN_OR_RETURN(const std::string path, target.dir.ReadLink(link));
      struct stat stat = {};
      if (fstatat(target.dir.fd().get(), link, &stat, 0) < 0) continue;
      Count(stat, ReadName(stat, path, rules_), 0);
    }
    return absl::OkStatus();
  }

  void LookAt(pid_t pid, const VmaList& vmas) {
    for (const Vma& vma : vmas) {
      found_.memfds |= vma.kind == VmaKind::kMemfd;
      const bool is_file = vma.kind == VmaKind::kFilePrivate || vma.kind == VmaKind::kFileShared;
      if (!is_file || vma.facts == nullptr) continue;
      Count(vma.facts->stat, {vma.facts->path, vma.facts->deleted, {}}, vma.facts->mount_id);
    }
    const auto attached = SysvAttachmentsOf(pid, vmas);
    found_.attachments.insert(found_.attachments.end(), attached.begin(), attached.end());
  }

  const Holdings& found() const { return found_; }

 private:
  absl::Status Count(const Descriptor& descriptor) {
    ASSIGN_OR_RETURN(const FdInfo info, InfoOf(descriptor));
    found_.locks |= options_.file_locks && !info.locks.empty();
    const std::string& link = descriptor.link.value();
    const FileKind kind = FileKindOf(descriptor.stat, link, info.flags);
    found_.memfds |= kind == FileKind::kMemfd;
    found_.terminals |= kind == FileKind::kTerminal;
    const bool reads = (info.flags & O_ACCMODE) != O_WRONLY;
    found_.pipes |= kind == FileKind::kPipe && reads;
    found_.fifos |= kind == FileKind::kFifo && reads;
    if (S_ISSOCK(descriptor.stat.st_mode)) found_.sockets.insert(descriptor.stat.st_ino);
    if (HasName(kind)) {
      Count(descriptor.stat, ReadName(descriptor.stat, link, rules_),
            static_cast<uint64_t>(info.mount_id));
    }
    return absl::OkStatus();
  }

  void Count(const struct stat& stat, const FileName& name, uint64_t mount_id) {
    if (ExternalAmong(rules_, stat, mount_id)) return;
    const bool dead = name.proc && name.proc->dead;
    if (!(dead || name.deleted) || WhyNotNamed(stat, name, mount_id, rules_)) return;
    found_.remaps = true;
    if (name.ghost(stat)) found_.ghosts.insert({stat.st_dev, stat.st_ino});
  }

  const DumpOptions& options_;
  const FileRules& rules_;
  Holdings found_;
};

class Names {
 public:
  void Add(ImageKind kind, uint64_t id = 0) {
    names_.push_back(ImageName(kind, static_cast<uint32_t>(id)));
  }

  void AddTask(const Target& target, const ObjectIds& ids) {
    const auto pid = static_cast<uint32_t>(target.pid);
    for (const ImageKind kind : {ImageKind::kIds, ImageKind::kMm, ImageKind::kFs}) Add(kind, pid);
    const auto threads = ListThreads(target.dir, target.pid);
    if (threads.ok()) {
      for (const int tid : *threads) Add(ImageKind::kCore, static_cast<uint64_t>(tid));
    }
    AddPages(ImageKind::kPagemap, pid);
    if (tables_.insert(ids.files).second) Add(ImageKind::kFdinfo, ids.files);
  }

  void AddPages(ImageKind pagemap, uint64_t id) {
    Add(pagemap, id);
    Add(ImageKind::kPages, ++pages_);
  }

  void AddIf(bool any, ImageKind kind) {
    if (any) Add(kind);
  }

  std::vector<std::string> Take() && { return std::move(names_); }

 private:
  std::vector<std::string> names_;
  std::set<uint32_t> tables_;
  uint32_t pages_ = 0;
};

bool IsConnected(const InetSocketRow& row) {
  return row.state != TCP_LISTEN && row.state != TCP_CLOSE && row.state != TCP_SYN_SENT &&
         row.state != TCP_SYN_RECV;
}

absl::Status AddStreams(const std::set<ino_t>& sockets, Names& names) {
  if (sockets.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const InetSocketRows rows, AskForInetSockets(IPPROTO_TCP));
  for (const ino_t inode : sockets) {
    const auto row = rows.find(static_cast<uint32_t>(inode));
    if (row != rows.end() && IsConnected(row->second)) names.Add(ImageKind::kTcpStream, inode);
  }
  return absl::OkStatus();
}

// Of pipes that wait in there nothing is told: queues are looked into when the tasks stand still.
absl::StatusOr<bool> HasQueuedPackets(const std::set<ino_t>& sockets) {
  if (sockets.empty()) return false;
  ASSIGN_OR_RETURN(const UnixSocketRows rows, AskForUnixSockets());
  return std::any_of(sockets.begin(), sockets.end(), [&rows](ino_t inode) {
    const auto row = rows.find(static_cast<uint32_t>(inode));
    return row != rows.end() && !row->second.listens() && row->second.receive_queue > 0;
  });
}

absl::Status AddSysv(const std::vector<SysvAttachment>& attachments, const std::vector<pid_t>& pids,
                     Names& names) {
  ASSIGN_OR_RETURN(const SysvIpc ipc, ReadSysvIpc(attachments, pids));
  if (ipc.empty()) return absl::OkStatus();
  names.Add(ImageKind::kIpcVariables, kOwnIpcNamespace);
  names.Add(ImageKind::kIpcSharedMemory, kOwnIpcNamespace);
  if (!ipc.semaphores.empty()) names.Add(ImageKind::kIpcSemaphores, kOwnIpcNamespace);
  if (!ipc.queues.empty()) names.Add(ImageKind::kIpcMessages, kOwnIpcNamespace);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ForecastImages(const DumpOptions& options,
                                                        std::span<const Target> targets,
                                                        const Preflight& preflight) {
  std::vector<pid_t> pids;
  Looker looker(options, preflight.file_rules);
  for (const Target& target : targets) {
    pids.push_back(target.pid);
    // Of one that ends meanwhile a dump would write nothing.
    const absl::Status looked = looker.LookAt(target);
    if (!looked.ok() && !absl::IsNotFound(looked)) return looked;
    const auto task = preflight.tasks.find(target.pid);
    if (task != preflight.tasks.end() && task->second.vmas) {
      looker.LookAt(target.pid, *task->second.vmas);
    }
  }
  const Holdings& found = looker.found();
  ASSIGN_OR_RETURN(const std::vector<ObjectIds> ids, IdentifyObjects(pids));
  Names names;
  for (const ImageKind kind : {ImageKind::kInventory, ImageKind::kPstree, ImageKind::kFiles,
                               ImageKind::kSeccomp, ImageKind::kTimens, ImageKind::kStats}) {
    names.Add(kind);
  }
  for (size_t i = 0; i < targets.size(); ++i) names.AddTask(targets[i], ids[i]);
  for (const pid_t pid : ZombiesBelow(targets)) {
    names.Add(ImageKind::kCore, static_cast<uint64_t>(pid));
  }
  for (const ino_t id : preflight.shared_memory) names.AddPages(ImageKind::kSharedPagemap, id);
  for (size_t i = 1; i <= found.ghosts.size(); ++i) names.Add(ImageKind::kGhostFile, i);
  names.AddIf(found.pipes, ImageKind::kPipesData);
  names.AddIf(found.fifos, ImageKind::kFifoData);
  ASSIGN_OR_RETURN(const bool waits_in_sockets, HasQueuedPackets(found.sockets));
  names.AddIf(waits_in_sockets, ImageKind::kSocketQueues);
  names.AddIf(found.remaps, ImageKind::kRemaps);
  names.AddIf(found.locks, ImageKind::kFileLocks);
  names.AddIf(found.memfds, ImageKind::kMemfd);
  names.AddIf(found.terminals, ImageKind::kTtyInfo);
  if (preflight.terminal_queues) {
    ASSIGN_OR_RETURN(const bool waits,
                     HasTerminalData(targets, *preflight.terminal_queues, options.terminals));
    names.AddIf(waits, ImageKind::kTtyData);
  }
  names.AddIf(preflight.cgroups_differ, ImageKind::kCgroup);
  if (options.inet.tcp_established) RETURN_IF_ERROR(AddStreams(found.sockets, names));
  RETURN_IF_ERROR(AddSysv(found.attachments, pids, names));
  return std::move(names).Take();
}

std::vector<std::string> ForecastFamilies(std::span<const Target> targets,
                                          const SharedPages& shared) {
  std::vector<std::string> names;
  const auto add = [&names](ImageKind kind, uint64_t id) {
    names.push_back(absl::StrCat("parent/", ImageName(kind, static_cast<uint32_t>(id))));
  };
  for (size_t i = 0; i < shared.families.size(); ++i) {
    add(ImageKind::kPages, i + 1);
    for (const size_t task : shared.families[i].members) {
      add(ImageKind::kPagemap, static_cast<uint64_t>(targets[task].pid));
    }
  }
  return names;
}

}  // namespace dumpctl
