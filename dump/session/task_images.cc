#include "dump/session/task_images.h"

#include <fcntl.h>

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_format.h"
#include "dump/cg/cgroup_sets.h"
#include "dump/mm/mm_collector.h"
#include "dump/task/core_image.h"
#include "dumpctl/status_macros.h"
#include "proc/auxv_parser.h"
#include "proc/stat_parser.h"
#include "proc/status_parser.h"

namespace dumpctl {
namespace {

class TaskImages {
 public:
  TaskImages(const FrozenFacts& facts, ImageSet& images)
      : facts_(facts), images_(images), pid_(facts.process.pid) {}

  absl::Status AddMm(MemfdFiles& memfds) {
    MmFacts mm;
    ASSIGN_OR_RETURN(mm.stat, ParseStat(facts_.process.stat_text));
    mm.brk = RemoteAddress(facts_.process.answers.brk);
    ASSIGN_OR_RETURN(mm.auxv, ParseAuxv(facts_.auxv));
    ASSIGN_OR_RETURN(mm.exe_file_id, AddNamed(facts_.exe, "its program"));
    mm.dumpable = facts_.process.answers.dumpable;
    mm.thp_disabled = facts_.process.answers.thp_disabled;
    // Mappings of one file share what is known of it.
    absl::flat_hash_map<std::pair<const FileFacts*, uint32_t>, uint32_t> known;
    const auto file_id = [this, &known, &memfds](const Vma& vma) -> absl::StatusOr<uint32_t> {
      if (vma.kind == VmaKind::kMemfd) return memfds.MappedId(vma.facts->shmem_id);
      const uint32_t flags = OpenFlagsOf(vma.mapping);
      uint32_t& id = known[{vma.facts.get(), flags}];
      if (id == 0) {
        ASSIGN_OR_RETURN(
            id, images_.files.AddByPath(
                    pid_,
                    {vma.facts->stat,
                     ReadMappedName(vma.facts->stat, vma.facts->path, vma.facts->deleted,
                                    images_.files.rules()),
                     flags, vma.facts->mount_id},
                    absl::StrFormat("mapping %x-%x", vma.start().value(), vma.end().value())));
      }
      return id;
    };
    std::optional<std::span<const GuardRange>> guards;
    if (facts_.pages.guards) guards = *facts_.pages.guards;
    ASSIGN_OR_RETURN(CollectedVmas vmas, CollectVmas(pid_, facts_.vmas, guards, file_id));
    images_.Refuse(vmas.refusals);
    ASSIGN_OR_RETURN(const image::mm_entry entry, MmEntryOf(mm, std::move(vmas)));
    return AddOne(ImageKind::kMm, entry);
  }

  absl::Status AddDescriptors(FdCollector& descriptors) {
    if (!facts_.descriptors) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::vector<image::fdinfo_entry> entries,
                     descriptors.Collect(pid_, *facts_.descriptors));
    return images_.AddAll(ImageKind::kFdinfo, facts_.objects.files, entries);
  }

  absl::Status AddFs() {
    ASSIGN_OR_RETURN(const TaskStatus status, ParseStatus(facts_.threads.front().status_text));
    image::fs_entry fs;
    ASSIGN_OR_RETURN(const uint32_t cwd, AddNamed(facts_.cwd, "its working directory"));
    ASSIGN_OR_RETURN(const uint32_t root, AddNamed(facts_.root, "its root directory"));
    fs.set_cwd_id(cwd);
    fs.set_root_id(root);
    if (status.umask) fs.set_umask(*status.umask);
    return AddOne(ImageKind::kFs, fs);
  }

  absl::Status AddCores(const std::map<pid_t, uint32_t>& cgroups) {
    std::map<size_t, TaskStatus> parsed;  // by the thread's place
    for (size_t i = 0; i < facts_.threads.size(); ++i) {
      const ThreadFacts& thread = facts_.threads[i];
      const ResourceRefusals refused = RefuseThreadState(pid_, thread);
      images_.Refuse(refused);
      if (!refused.empty()) continue;
      const size_t source = thread.like.value_or(i);
      const auto [status, is_new] = parsed.try_emplace(source);
      if (is_new) {
        ASSIGN_OR_RETURN(status->second, ParseStatus(facts_.threads[source].status_text));
      }
      ASSIGN_OR_RETURN(image::core_entry core,
                       ToThreadCore(thread, status->second, facts_.seccomp_filters[i]));
      const auto cgroup_set = cgroups.find(thread.tid);
      core.mutable_thread_core()->set_cg_set(cgroup_set == cgroups.end() ? kDumpersCgroups
                                                                         : cgroup_set->second);
      if (i == 0) RETURN_IF_ERROR(AddProcess(facts_.process, thread, core));
      RETURN_IF_ERROR(images_.AddOne(ImageKind::kCore, static_cast<uint32_t>(thread.tid), core));
    }
    return absl::OkStatus();
  }

  absl::Status AddIds(image::task_kobj_ids_entry ids) {
    ids.set_vm_id(facts_.objects.vm);
    ids.set_files_id(facts_.objects.files);
    ids.set_fs_id(facts_.objects.fs);
    ids.set_sighand_id(facts_.objects.sighand);
    return AddOne(ImageKind::kIds, ids);
  }

 private:
  absl::Status AddOne(ImageKind kind, const google::protobuf::Message& entry) {
    return images_.AddOne(kind, static_cast<uint32_t>(pid_), entry);
  }

  absl::StatusOr<uint32_t> AddNamed(const NamedFile& file, const char* what) {
    return images_.files.AddByPath(
        pid_, {file.stat, ReadName(file.stat, file.path, images_.files.rules()), O_RDONLY}, what);
  }

  const FrozenFacts& facts_;
  ImageSet& images_;
  pid_t pid_;
};

}  // namespace

absl::Status AddTaskImages(const FrozenFacts& facts, const std::map<pid_t, uint32_t>& cgroups,
                           const image::task_kobj_ids_entry& namespaces, FdCollector& descriptors,
                           MemfdFiles& memfds, ImageSet& images) {
  TaskImages task(facts, images);
  RETURN_IF_ERROR(task.AddMm(memfds));
  RETURN_IF_ERROR(task.AddDescriptors(descriptors));
  RETURN_IF_ERROR(task.AddFs());
  RETURN_IF_ERROR(task.AddCores(cgroups));
  return task.AddIds(namespaces);
}

}  // namespace dumpctl
