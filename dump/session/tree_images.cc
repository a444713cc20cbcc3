#include "dump/session/tree_images.h"

#include <unistd.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "dump/cg/cgroup_sets.h"
#include "dump/fd/fd_collector.h"
#include "dump/fd/pidfd_file.h"
#include "dump/mm/shared_order.h"
#include "dump/ns/namespace_file.h"
#include "dump/session/image_set.h"
#include "dump/session/memfd_files.h"
#include "dump/session/socket_makers.h"
#include "dump/session/task_images.h"
#include "dump/session/tree_terminals.h"
#include "dump/sk/unix_images.h"
#include "dump/task/core_image.h"
#include "dump/task/lineage.h"
#include "dumpctl/status_macros.h"
#include "proc/stat_parser.h"
#include "proc/timens_parser.h"
#include "proto/inventory.pb.h"

namespace dumpctl {
namespace {

absl::StatusOr<TimensOffsets> OffsetsOf(const std::string& text) {
  if (text.empty()) return TimensOffsets();
  return ParseTimensOffsets(text);
}

uint32_t Microseconds(absl::Duration duration) {
  return static_cast<uint32_t>(absl::ToInt64Microseconds(duration));
}

image::pstree_entry PstreeEntry(const TaskStat& stat) {
  image::pstree_entry entry;
  entry.set_pid(static_cast<uint32_t>(stat.pid));
  entry.set_ppid(static_cast<uint32_t>(stat.ppid));
  entry.set_pgid(static_cast<uint32_t>(stat.pgrp));
  entry.set_sid(static_cast<uint32_t>(stat.session));
  return entry;
}

// `task` must outlive it.
FileMaker NamespaceMaker(const NamespaceLinks& task, const image::task_kobj_ids_entry& ids) {
  return [&task, ids](const Descriptor& descriptor, uint32_t id, uint32_t flags,
                      const image::fown_entry&) -> absl::StatusOr<MadeFile> {
    auto made = NamespaceFile(descriptor.stat.st_ino, task, ids);
    if (auto* why_not = std::get_if<WhyNotText>(&made)) return std::move(*why_not);
    image::file_entry entry;
    entry.set_type(image::NS);
    entry.set_id(id);
    *entry.mutable_nsf() = std::move(std::get<image::ns_file_entry>(made));
    entry.mutable_nsf()->set_id(id);
    entry.mutable_nsf()->set_flags(flags);
    return entry;
  };
}

FileMaker PidfdMaker(std::function<bool(pid_t)> is_in_tree) {
  return [is_in_tree = std::move(is_in_tree)](
             const Descriptor& descriptor, uint32_t id, uint32_t flags,
             const image::fown_entry& owner) -> absl::StatusOr<MadeFile> {
    ASSIGN_OR_RETURN(const std::optional<WhyNot> why_not,
                     WhyNotPidfd(descriptor.info_text, flags, is_in_tree));
    if (why_not) return WhyNotText{std::string(why_not->why), std::string(why_not->remedy)};
    image::file_entry entry;
    entry.set_type(image::PIDFD);
    entry.set_id(id);
    ASSIGN_OR_RETURN(*entry.mutable_pidfd(),
                     PidfdEntry(descriptor.info_text, flags, descriptor.stat.st_ino));
    entry.mutable_pidfd()->set_id(id);
    *entry.mutable_pidfd()->mutable_fown() = owner;
    return entry;
  };
}

image::inventory_entry InventoryOf(const NamespaceLinks& dumper, const std::string& run_id) {
  image::task_kobj_ids_entry ids;
  SetNamespaceIds(dumper, ids);
  ids.set_vm_id(kDumperObject);
  ids.set_files_id(kDumperObject);
  ids.set_fs_id(kDumperObject);
  ids.set_sighand_id(kDumperObject);
  image::inventory_entry inventory;
  inventory.set_img_version(2);
  inventory.set_fdinfo_per_id(true);
  *inventory.mutable_root_ids() = ids;
  inventory.set_ns_per_id(true);
  inventory.set_root_cg_set(kDumpersCgroups);
  inventory.set_lsmtype(image::NO_LSM);
  inventory.mutable_plugins_entry();
  inventory.set_dump_criu_run_id(run_id);
  return inventory;
}

class ImageBuilder {
 public:
  ImageBuilder(const TreeFacts& facts, const KernelFeatures& features, const DumpOptions& options)
      : facts_(facts), root_(facts.tasks.front()), features_(features), options_(options) {
    images_.files = FileTable(facts.file_rules, facts.ghosts, facts.untouched);
  }

  absl::StatusOr<TreeImages> Build(std::span<const PageSink> sinks) {
    own_time_ = HasOwnTimeNamespace(root_.namespaces, facts_.dumper_namespaces);
    RETURN_IF_ERROR(ReadStats());
    RefuseTree();
    RETURN_IF_ERROR(AddTasks());
    RETURN_IF_ERROR(AddZombies());
    for (size_t i = 0; i < facts_.tasks.size(); ++i) {
      if (!sinks[i].keeps_pagemap()) continue;
      const auto pid = static_cast<uint32_t>(facts_.tasks[i].process.pid);
      ASSIGN_OR_RETURN(ImageWriter pagemap, sinks[i].Pagemap(ImageKind::kPagemap, pid));
      images_.Add(std::move(pagemap));
    }
    size_t sink = facts_.tasks.size();
    for (const auto& [id, object] : facts_.shared_memory) {
      if (!sinks[sink].keeps_pagemap()) {
        ++sink;
        continue;
      }
      ASSIGN_OR_RETURN(ImageWriter pagemap,
                       sinks[sink++].Pagemap(ImageKind::kSharedPagemap, static_cast<uint32_t>(id)));
      images_.Add(std::move(pagemap));
    }
    RETURN_IF_ERROR(images_.AddOne(ImageKind::kSeccomp, 0, facts_.seccomp.entry()));
    RETURN_IF_ERROR(AddTimens());
    RETURN_IF_ERROR(AddSysv());
    RETURN_IF_ERROR(AddCgroups());
    RETURN_IF_ERROR(AddPstree());
    RETURN_IF_ERROR(AddInventory());
    images_.Refuse(images_.files.refusals());
    ASSIGN_OR_RETURN(std::vector<FamilyPagemap> families, FamilyPagemaps(facts_, sinks));
    return TreeImages{std::move(images_.images), std::move(families), std::move(images_.refusals),
                      images_.files.links()};
  }

 private:
  absl::Status ReadStats() {
    for (const FrozenFacts& task : facts_.tasks) {
      ASSIGN_OR_RETURN(stats_.emplace_back(), ParseStat(task.process.stat_text));
    }
    for (const Zombie& zombie : facts_.zombies) {
      ASSIGN_OR_RETURN(stats_.emplace_back(), ParseStat(zombie.stat_text));
    }
    return absl::OkStatus();
  }

  // What preflight has refused already, as far as it was there by then.
  void RefuseTree() {
    std::vector<ObjectIds> objects;
    std::vector<SharedMappings> shared;
    for (const FrozenFacts& task : facts_.tasks) {
      objects.push_back(task.objects);
      shared.push_back(SharedMappingsOf(task.process.pid, task.vmas));
      images_.Refuse(task.refusals);
      images_.Refuse(RefuseForeignNamespaces(task.process.pid, task.namespaces,
                                             facts_.dumper_namespaces, root_.namespaces));
    }
    images_.Refuse(RefuseLineage(stats_));
    images_.Refuse(RefuseShared(alive(), objects));
    images_.Refuse(RefuseSharedOrder(shared));
    for (const TaskStat& zombie : zombies()) images_.Refuse(RefuseZombie(zombie));
  }

  std::span<const TaskStat> alive() const { return std::span(stats_).first(facts_.tasks.size()); }
  std::span<const TaskStat> zombies() const {
    return std::span(stats_).subspan(facts_.tasks.size());
  }

  absl::Status AddTasks() {
    ASSIGN_OR_RETURN(FdCollector descriptors,
                     FdCollector::Create(facts_.pipes, features_.Has(KernelFeature::kDupfdQuery),
                                         *facts_.watched, images_.files));
    image::task_kobj_ids_entry ids;
    SetNamespaceIds(facts_.dumper_namespaces, ids);
    if (own_time_) ids.set_time_ns_id(kOwnTimeNamespace);
    if (!facts_.sysv.empty()) ids.set_ipc_ns_id(kOwnIpcNamespace);
    UnixImages sockets(facts_.unix_sockets, options_.external_unix_sockets, ids.net_ns_id());
    MakeSockets(sockets, facts_, options_.inet, ids.net_ns_id(), descriptors);
    descriptors.MakeBy(FileKind::kNamespace, NamespaceMaker(root_.namespaces, ids));
    MemfdFiles memfds(facts_.shared_memory, images_.files);
    descriptors.MakeBy(FileKind::kMemfd, memfds.Maker());
    descriptors.MakeBy(FileKind::kPidfd, PidfdMaker([this](pid_t pid) { return IsInTree(pid); }));
    TerminalBuilder terminals(facts_.terminals, alive(), options_.terminals, images_.files);
    descriptors.MakeBy(FileKind::kTerminal, terminals.Maker());
    images_.Refuse(terminals.refusals());
    for (const FrozenFacts& task : facts_.tasks) {
      RETURN_IF_ERROR(AddTaskImages(task, facts_.cgroups.sets, ids, descriptors, memfds, images_));
    }
    RETURN_IF_ERROR(AddSocketQueues(sockets, descriptors));
    if (const auto inodes = memfds.Inodes(); !inodes.empty()) {
      RETURN_IF_ERROR(images_.AddAll(ImageKind::kMemfd, 0, inodes));
    }
    RETURN_IF_ERROR(images_.AddWithPayloads(ImageKind::kPipesData, descriptors.pipes()));
    RETURN_IF_ERROR(images_.AddWithPayloads(ImageKind::kFifoData, descriptors.fifos()));
    if (const auto remaps = images_.files.Remaps(); !remaps.empty()) {
      RETURN_IF_ERROR(images_.AddAll(ImageKind::kRemaps, 0, remaps));
    }
    if (const auto& locks = descriptors.locks().entries(); !locks.empty()) {
      RETURN_IF_ERROR(images_.AddAll(ImageKind::kFileLocks, 0, locks));
    }
    if (!terminals.infos().empty()) {
      RETURN_IF_ERROR(images_.AddAll(ImageKind::kTtyInfo, 0, terminals.infos()));
    }
    if (const auto data = terminals.data(); !data.empty()) {
      RETURN_IF_ERROR(images_.AddAll(ImageKind::kTtyData, 0, data));
    }
    RETURN_IF_ERROR(AddTcpStreams());
    return images_.AddAll(ImageKind::kFiles, 0, PeersFirst(images_.files.TakeEntries()));
  }

  // Whether that process is part of the dump, living or not.
  bool IsInTree(pid_t pid) const {
    const auto is_it = [pid](const TaskStat& stat) { return stat.pid == pid; };
    return std::any_of(stats_.begin(), stats_.end(), is_it);
  }

  absl::Status AddTcpStreams() {
    for (const auto& [inode, facts] : facts_.inet_sockets.sockets()) {
      if (!facts.stream) continue;
      ImageWriter image(ImageKind::kTcpStream, inode);
      RETURN_IF_ERROR(image.Add(facts.stream->entry));
      image.AddPayload(facts.stream->received);
      image.AddPayload(facts.stream->sent);
      images_.Add(std::move(image));
    }
    return absl::OkStatus();
  }

  absl::Status AddSocketQueues(const UnixImages& sockets, FdCollector& descriptors) {
    ASSIGN_OR_RETURN(const std::vector<uint32_t> queued,
                     descriptors.CollectQueued(root_.process.pid, facts_.queued));
    for (image::unix_sk_entry& external : sockets.External()) {
      external.set_id(images_.files.NextId());
      image::file_entry entry;
      entry.set_type(image::UNIXSK);
      entry.set_id(external.id());
      *entry.mutable_usk() = std::move(external);
      images_.files.Add(std::move(entry));
    }
    return images_.AddWithPayloads(ImageKind::kSocketQueues, sockets.Queues(queued));
  }

  absl::Status AddZombies() {
    for (const TaskStat& zombie : zombies()) {
      RETURN_IF_ERROR(
          images_.AddOne(ImageKind::kCore, static_cast<uint32_t>(zombie.pid), DeadCore(zombie)));
    }
    return absl::OkStatus();
  }

  // The clocks of the task's time namespace: a restore makes one in which they go on from here.
  absl::Status AddTimens() {
    TimensOffsets ours;
    TimensOffsets theirs;
    // What both have in common is in what was seen of the clocks.
    if (own_time_) {
      ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
      ASSIGN_OR_RETURN(ours, OffsetsOf(self.Read("timens_offsets").value_or("")));
      ASSIGN_OR_RETURN(theirs, OffsetsOf(root_.timens_offsets_text));
    }
    image::timens_entry entry;
    const auto fill = [](absl::Duration clock, image::timespec* to) {
      const timespec time = absl::ToTimespec(clock);
      to->set_tv_sec(static_cast<uint64_t>(time.tv_sec));
      to->set_tv_nsec(static_cast<uint64_t>(time.tv_nsec));
    };
    const auto clock = [](const timespec& seen, const timespec& our, const timespec& their) {
      return absl::DurationFromTimespec(seen) - absl::DurationFromTimespec(our) +
             absl::DurationFromTimespec(their);
    };
    fill(clock(facts_.monotonic, ours.monotonic, theirs.monotonic), entry.mutable_monotonic());
    fill(clock(facts_.boottime, ours.boottime, theirs.boottime), entry.mutable_boottime());
    return images_.AddOne(ImageKind::kTimens, own_time_ ? kOwnTimeNamespace : 0, entry);
  }

  // An IPC namespace for the tree, of the objects that it has of ours.
  absl::Status AddSysv() {
    std::vector<pid_t> pids;
    for (const FrozenFacts& task : facts_.tasks) pids.push_back(task.process.pid);
    images_.Refuse(RefuseSysvIpc(facts_.sysv, facts_.sysv_attachments, pids));
    if (facts_.sysv.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const image::ipc_var_entry limits, ReadIpcLimits());
    RETURN_IF_ERROR(images_.AddOne(ImageKind::kIpcVariables, kOwnIpcNamespace, limits));
    std::vector<image::ipc_shm_entry> segments;
    for (const SysvSegment& segment : facts_.sysv.segments) {
      segments.push_back(SegmentEntry(segment));
    }
    RETURN_IF_ERROR(images_.AddAll(ImageKind::kIpcSharedMemory, kOwnIpcNamespace, segments));
    RETURN_IF_ERROR(AddSysvQueues());
    if (facts_.sysv.semaphores.empty()) return absl::OkStatus();
    std::vector<SemaphoreData> semaphores;
    for (const SysvIpc::Semaphores& set : facts_.sysv.semaphores) {
      semaphores.push_back(SemaphoreEntry(set));
    }
    return images_.AddWithPayloads(ImageKind::kIpcSemaphores, semaphores, kOwnIpcNamespace);
  }

  absl::Status AddSysvQueues() {
    if (facts_.sysv.queues.empty()) return absl::OkStatus();
    ImageWriter image(ImageKind::kIpcMessages, kOwnIpcNamespace);
    for (const SysvIpc::Queue& queue : facts_.sysv.queues) {
      RETURN_IF_ERROR(image.Add(QueueEntry(queue)));
      for (const SysvIpc::Message& message : queue.messages) {
        const MessageData data = MessageEntry(message);
        RETURN_IF_ERROR(image.Add(data.entry));
        image.AddPayload(data.bytes);
      }
    }
    images_.Add(std::move(image));
    return absl::OkStatus();
  }

  absl::Status AddCgroups() {
    if (facts_.cgroups.entry.sets().empty()) return absl::OkStatus();
    return images_.AddOne(ImageKind::kCgroup, 0, facts_.cgroups.entry);
  }

  absl::Status AddPstree() {
    std::vector<image::pstree_entry> entries;
    for (size_t i = 0; i < facts_.tasks.size(); ++i) {
      image::pstree_entry& entry = entries.emplace_back(PstreeEntry(stats_[i]));
      for (const ThreadFacts& thread : facts_.tasks[i].threads) {
        entry.add_threads(static_cast<uint32_t>(thread.tid));
      }
    }
    entries.front().set_ppid(0);
    for (const TaskStat& zombie : zombies()) {
      entries.emplace_back(PstreeEntry(zombie)).add_threads(static_cast<uint32_t>(zombie.pid));
    }
    return images_.AddAll(ImageKind::kPstree, 0, entries);
  }

  absl::Status AddInventory() {
    image::inventory_entry inventory = InventoryOf(facts_.dumper_namespaces, facts_.run_id);
    inventory.set_network_lock_method(static_cast<uint32_t>(facts_.network_lock));
    if (options_.inet.tcp_close) inventory.set_tcp_close(true);
    return images_.AddOne(ImageKind::kInventory, 0, inventory);
  }

  const TreeFacts& facts_;
  const FrozenFacts& root_;
  const KernelFeatures& features_;
  const DumpOptions& options_;
  bool own_time_ = false;
  std::vector<TaskStat> stats_;  // of all tasks, and behind them of zombies
  ImageSet images_;
};

}  // namespace

absl::StatusOr<TreeImages> BuildImages(const TreeFacts& facts, std::span<const PageSink> sinks,
                                       const KernelFeatures& features, const DumpOptions& options) {
  return ImageBuilder(facts, features, options).Build(sinks);
}

absl::StatusOr<ImageWriter> PreDumpInventory(const std::string& run_id) {
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
  ASSIGN_OR_RETURN(const NamespaceLinks namespaces, ReadNamespaces(self));
  ImageWriter image(ImageKind::kInventory);
  RETURN_IF_ERROR(image.Add(InventoryOf(namespaces, run_id)));
  return image;
}

absl::StatusOr<ImageWriter> StatsImage(const DumpReport& report) {
  image::stats_entry stats;
  image::dump_stats_entry* dump = stats.mutable_dump();
  dump->set_freezing_time(Microseconds(report.freezing));
  dump->set_frozen_time(Microseconds(report.frozen));
  dump->set_memdump_time(Microseconds(report.memory_read));
  dump->set_memwrite_time(Microseconds(report.memory_written));
  dump->set_pages_scanned(report.pages_scanned);
  dump->set_pages_skipped_parent(report.pages_in_parent + report.pages_not_repeated +
                                 report.pages_written_once);
  dump->set_pages_written(report.pages_written);
  dump->set_pages_lazy(0);
  dump->set_irmap_resolve(0);
  dump->set_page_pipes(0);
  dump->set_page_pipe_bufs(0);
  dump->set_shpages_scanned(0);
  dump->set_shpages_skipped_parent(0);
  dump->set_shpages_written(0);
  ImageWriter image(ImageKind::kStats);
  RETURN_IF_ERROR(image.Add(stats));
  return image;
}

}  // namespace dumpctl
