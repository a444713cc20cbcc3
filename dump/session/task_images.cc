#include "dump/session/task_images.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "dump/fd/fd_collector.h"
#include "dump/mm/mm_collector.h"
#include "dump/ns/namespaces.h"
#include "dump/task/core_image.h"
#include "dumpctl/status_macros.h"
#include "proc/auxv_parser.h"
#include "proc/stat_parser.h"
#include "proc/status_parser.h"
#include "proc/timens_parser.h"
#include "proto/inventory.pb.h"

namespace dumpctl {
namespace {

// Kernel objects are numbered over the whole dump; number 1 of each is the dumper's own, which the
// inventory names, so that no restore takes the task's for those of its parent.
constexpr uint32_t kDumperObject = 1;
constexpr uint32_t kTaskObject = 2;

void SetObjectIds(uint32_t id, image::task_kobj_ids_entry& ids) {
  ids.set_vm_id(id);
  ids.set_files_id(id);
  ids.set_fs_id(id);
  ids.set_sighand_id(id);
}

absl::StatusOr<TimensOffsets> OffsetsOf(const std::string& text) {
  if (text.empty()) return TimensOffsets();
  return ParseTimensOffsets(text);
}

uint32_t Microseconds(absl::Duration duration) {
  return static_cast<uint32_t>(absl::ToInt64Microseconds(duration));
}

class ImageBuilder {
 public:
  ImageBuilder(const FrozenFacts& facts, const KernelFeatures& features)
      : facts_(facts), features_(features), pid_(facts.process.pid) {}

  absl::StatusOr<TaskImages> Build(const PageSink& sink) {
    ASSIGN_OR_RETURN(stat_, ParseStat(facts_.process.stat_text));
    ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenTask(getpid()));
    ASSIGN_OR_RETURN(dumper_namespaces_, ReadNamespaces(self));
    ASSIGN_OR_RETURN(dumper_offsets_, OffsetsOf(self.Read("timens_offsets").value_or("")));
    own_time_ = HasOwnTimeNamespace(facts_.namespaces, dumper_namespaces_);
    RETURN_IF_ERROR(AddMm());
    RETURN_IF_ERROR(AddDescriptors());
    RETURN_IF_ERROR(AddFs());
    RETURN_IF_ERROR(AddFiles());
    RETURN_IF_ERROR(AddCores());
    ASSIGN_OR_RETURN(ImageWriter pagemap, sink.Pagemap());
    images_.push_back(std::move(pagemap));
    RETURN_IF_ERROR(AddSeccomp());
    RETURN_IF_ERROR(AddTimens());
    RETURN_IF_ERROR(AddPstree());
    RETURN_IF_ERROR(AddInventory());
    ResourceRefusals refusals = std::move(refusals_);
    refusals.insert(refusals.end(), files_.refusals().begin(), files_.refusals().end());
    return TaskImages{std::move(images_), std::move(refusals)};
  }

 private:
  absl::Status AddOne(ImageKind kind, uint32_t id, const google::protobuf::Message& entry) {
    ImageWriter image(kind, id);
    RETURN_IF_ERROR(image.Add(entry));
    images_.push_back(std::move(image));
    return absl::OkStatus();
  }

  uint32_t AddNamed(const NamedFile& file, const char* what) {
    return files_.AddByPath(pid_, {file.stat, file.path, O_RDONLY}, what);
  }

  absl::Status AddMm() {
    MmFacts mm;
    mm.stat = stat_;
    mm.brk = RemoteAddress(facts_.process.answers.brk);
    ASSIGN_OR_RETURN(mm.auxv, ParseAuxv(facts_.auxv));
    mm.exe_file_id = AddNamed(facts_.exe, "its program");
    mm.dumpable = facts_.process.answers.dumpable;
    mm.thp_disabled = facts_.process.answers.thp_disabled;
    // Mappings of one file share what is known of it.
    absl::flat_hash_map<std::pair<const FileFacts*, uint32_t>, uint32_t> known;
    const auto file_id = [this, &known](const Vma& vma) -> absl::StatusOr<uint32_t> {
      const uint32_t flags = OpenFlagsOf(vma.mapping);
      uint32_t& id = known[{vma.facts.get(), flags}];
      if (id == 0) {
        id = files_.AddByPath(pid_, {vma.facts->stat, vma.facts->path, flags},
                              absl::StrCat("the mapping at 0x", absl::Hex(vma.start().value())));
      }
      return id;
    };
    std::optional<std::span<const GuardRange>> guards;
    if (facts_.pages.guards) guards = *facts_.pages.guards;
    ASSIGN_OR_RETURN(CollectedVmas vmas, CollectVmas(pid_, facts_.vmas, guards, file_id));
    refusals_.insert(refusals_.end(), vmas.refusals.begin(), vmas.refusals.end());
    ASSIGN_OR_RETURN(const image::mm_entry entry, MmEntryOf(mm, std::move(vmas)));
    return AddOne(ImageKind::kMm, static_cast<uint32_t>(pid_), entry);
  }

  absl::Status AddDescriptors() {
    ASSIGN_OR_RETURN(const CollectedFds fds,
                     CollectFds(pid_, facts_.descriptors, facts_.pipes,
                                features_.Has(KernelFeature::kDupfdQuery), files_));
    ImageWriter fdinfo(ImageKind::kFdinfo, kTaskObject);
    for (const image::fdinfo_entry& entry : fds.fdinfo) RETURN_IF_ERROR(fdinfo.Add(entry));
    images_.push_back(std::move(fdinfo));
    RETURN_IF_ERROR(AddPipeData(ImageKind::kPipesData, fds.pipes));
    return AddPipeData(ImageKind::kFifoData, fds.fifos);
  }

  absl::Status AddPipeData(ImageKind kind, const std::vector<PipeData>& pipes) {
    ImageWriter image(kind);
    for (const PipeData& pipe : pipes) {
      RETURN_IF_ERROR(image.Add(pipe.entry));
      image.AddPayload(pipe.bytes);
    }
    images_.push_back(std::move(image));
    return absl::OkStatus();
  }

  absl::Status AddFs() {
    ASSIGN_OR_RETURN(const TaskStatus status, ParseStatus(facts_.threads.front().status_text));
    image::fs_entry fs;
    fs.set_cwd_id(AddNamed(facts_.cwd, "its working directory"));
    fs.set_root_id(AddNamed(facts_.root, "its root directory"));
    if (status.umask) fs.set_umask(*status.umask);
    return AddOne(ImageKind::kFs, static_cast<uint32_t>(pid_), fs);
  }

  absl::Status AddFiles() {
    ImageWriter image(ImageKind::kFiles);
    for (const image::file_entry& entry : files_.entries()) RETURN_IF_ERROR(image.Add(entry));
    images_.push_back(std::move(image));
    return absl::OkStatus();
  }

  absl::Status AddCores() {
    for (size_t i = 0; i < facts_.threads.size(); ++i) {
      const ThreadFacts& thread = facts_.threads[i];
      const ResourceRefusals refused = RefuseThreadState(pid_, thread);
      refusals_.insert(refusals_.end(), refused.begin(), refused.end());
      if (!refused.empty()) continue;
      ASSIGN_OR_RETURN(image::core_entry core, ToThreadCore(thread, facts_.seccomp_filters[i]));
      if (i == 0) RETURN_IF_ERROR(AddProcess(facts_.process, thread, core));
      RETURN_IF_ERROR(AddOne(ImageKind::kCore, static_cast<uint32_t>(thread.tid), core));
    }
    return absl::OkStatus();
  }

  absl::Status AddSeccomp() { return AddOne(ImageKind::kSeccomp, 0, facts_.seccomp.entry()); }

  // The clocks of the task's time namespace: a restore makes one in which they go on from here.
  absl::Status AddTimens() {
    ASSIGN_OR_RETURN(const TimensOffsets theirs, OffsetsOf(facts_.timens_offsets_text));
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
    fill(clock(facts_.monotonic, dumper_offsets_.monotonic, theirs.monotonic),
         entry.mutable_monotonic());
    fill(clock(facts_.boottime, dumper_offsets_.boottime, theirs.boottime),
         entry.mutable_boottime());
    return AddOne(ImageKind::kTimens, own_time_ ? kOwnTimeNamespace : 0, entry);
  }

  absl::Status AddPstree() {
    image::pstree_entry entry;
    entry.set_pid(static_cast<uint32_t>(pid_));
    entry.set_ppid(0);
    entry.set_pgid(static_cast<uint32_t>(stat_.pgrp));
    entry.set_sid(static_cast<uint32_t>(stat_.session));
    for (const ThreadFacts& thread : facts_.threads) {
      entry.add_threads(static_cast<uint32_t>(thread.tid));
    }
    return AddOne(ImageKind::kPstree, 0, entry);
  }

  absl::Status AddInventory() {
    image::task_kobj_ids_entry ids;
    SetObjectIds(kTaskObject, ids);
    SetNamespaceIds(dumper_namespaces_, ids);
    if (own_time_) ids.set_time_ns_id(kOwnTimeNamespace);
    RETURN_IF_ERROR(AddOne(ImageKind::kIds, static_cast<uint32_t>(pid_), ids));
    SetNamespaceIds(dumper_namespaces_, ids);
    image::inventory_entry inventory;
    inventory.set_img_version(2);
    inventory.set_fdinfo_per_id(true);
    SetObjectIds(kDumperObject, ids);
    *inventory.mutable_root_ids() = ids;
    inventory.set_ns_per_id(true);
    // There is one set of cgroups, that of the root task: see ToThreadCore.
    inventory.set_root_cg_set(1);
    inventory.set_lsmtype(image::NO_LSM);
    inventory.set_network_lock_method(0);
    inventory.mutable_plugins_entry();
    ASSIGN_OR_RETURN(const ProcDir proc, ProcDir::OpenRoot());
    ASSIGN_OR_RETURN(const std::string uuid, proc.Read("sys/kernel/random/uuid"));
    inventory.set_dump_criu_run_id(std::string(absl::StripAsciiWhitespace(uuid)));
    return AddOne(ImageKind::kInventory, 0, inventory);
  }

  const FrozenFacts& facts_;
  const KernelFeatures& features_;
  pid_t pid_;
  TaskStat stat_;
  NamespaceLinks dumper_namespaces_;
  TimensOffsets dumper_offsets_;
  bool own_time_ = false;
  FileTable files_;
  std::vector<ImageWriter> images_;
  ResourceRefusals refusals_;
};

}  // namespace

absl::StatusOr<TaskImages> BuildImages(const FrozenFacts& facts, const PageSink& sink,
                                       const KernelFeatures& features) {
  return ImageBuilder(facts, features).Build(sink);
}

absl::StatusOr<ImageWriter> StatsImage(const DumpReport& report) {
  image::stats_entry stats;
  image::dump_stats_entry* dump = stats.mutable_dump();
  dump->set_freezing_time(Microseconds(report.freezing));
  dump->set_frozen_time(Microseconds(report.frozen));
  dump->set_memdump_time(Microseconds(report.memory_read));
  dump->set_memwrite_time(Microseconds(report.memory_written));
  dump->set_pages_scanned(report.pages_scanned);
  dump->set_pages_skipped_parent(0);
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
