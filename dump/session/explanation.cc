#include "dump/session/explanation.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/fd/descriptor.h"
#include "dump/fd/file_refusal.h"
#include "dump/image/image_table.h"
#include "dump/mm/page_scanner.h"
#include "dump/mm/shared_memory.h"
#include "dump/session/preflight.h"
#include "dump/session/target.h"
#include "dump/task/shared_objects.h"
#include "dumpctl/status_macros.h"
#include "proc/kernel_features.h"

namespace dumpctl {
namespace {

// A process that runs closes descriptors and ends; what is gone is not told of.
absl::Status IgnoreGone(const absl::Status& status) {
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

std::vector<int> ThreadsOf(const Target& target) {
  return ListNumbers(target.dir, "task").value_or(std::vector<int>());
}

absl::Status CountDescriptors(const Target& target, ExplainedTask& task) {
  ASSIGN_OR_RETURN(const std::vector<Descriptor> descriptors, PeekDescriptors(target.dir));
  for (const Descriptor& descriptor : descriptors) {
    ++task.descriptors[std::string(FileTypeName(descriptor.stat, descriptor.link.value()))];
  }
  return absl::OkStatus();
}

absl::Status LookAtMemory(const Target& target, const VmaList& vmas, const KernelFeatures& features,
                          SharedObjects& shared, ExplainedTask& task) {
  task.mappings = vmas.size();
  for (const Vma& vma : vmas) task.file_mappings += vma.fd() >= 0;
  ASSIGN_OR_RETURN(const ScannedPages scanned, ScanPages(target.dir, vmas, features));
  task.pages = scanned.pages;
  ASSIGN_OR_RETURN(shared, FindSharedObjects(vmas, std::move(shared)));
  return absl::OkStatus();
}

absl::StatusOr<ExplainedTask> LookAt(const Target& target, const Preflight& preflight,
                                     const KernelFeatures& features, SharedObjects& shared) {
  ExplainedTask task{.pid = target.pid,
                     .parent = target.stat.ppid,
                     .comm = target.stat.comm,
                     .state = target.stat.state};
  task.threads = ThreadsOf(target).size();
  RETURN_IF_ERROR(IgnoreGone(CountDescriptors(target, task)));
  const auto looked_at = preflight.tasks.find(target.pid);
  if (looked_at == preflight.tasks.end() || !looked_at->second.vmas) return task;
  RETURN_IF_ERROR(
      IgnoreGone(LookAtMemory(target, *looked_at->second.vmas, features, shared, task)));
  return task;
}

class Images {
 public:
  void Add(ImageKind kind, uint64_t id = 0) {
    names_.push_back(ImageName(kind, static_cast<uint32_t>(id)));
  }

  void AddTask(const Target& target, const ObjectIds& ids) {
    const auto pid = static_cast<uint32_t>(target.pid);
    for (const ImageKind kind : {ImageKind::kIds, ImageKind::kMm, ImageKind::kFs}) Add(kind, pid);
    for (const int tid : ThreadsOf(target)) Add(ImageKind::kCore, static_cast<uint64_t>(tid));
    AddPages(ImageKind::kPagemap, pid);
    if (tables_.insert(ids.files).second) Add(ImageKind::kFdinfo, ids.files);
  }

  void AddPages(ImageKind pagemap, uint64_t id) {
    Add(pagemap, id);
    Add(ImageKind::kPages, ++pages_);
  }

  std::vector<std::string> Take() && { return std::move(names_); }

 private:
  std::vector<std::string> names_;
  std::set<uint32_t> tables_;
  uint32_t pages_ = 0;
};

absl::StatusOr<std::vector<std::string>> ImagesOf(const std::vector<Target>& targets,
                                                  const SharedObjects& shared) {
  std::vector<pid_t> pids;
  for (const Target& target : targets) pids.push_back(target.pid);
  ASSIGN_OR_RETURN(const std::vector<ObjectIds> ids, IdentifyObjects(pids));
  Images images;
  for (const ImageKind kind :
       {ImageKind::kInventory, ImageKind::kPstree, ImageKind::kFiles, ImageKind::kPipesData,
        ImageKind::kFifoData, ImageKind::kSocketQueues, ImageKind::kSeccomp, ImageKind::kTimens,
        ImageKind::kStats}) {
    images.Add(kind);
  }
  for (size_t i = 0; i < targets.size(); ++i) images.AddTask(targets[i], ids[i]);
  for (const auto& [id, object] : shared) images.AddPages(ImageKind::kSharedPagemap, id);
  return std::move(images).Take();
}

}  // namespace

absl::StatusOr<Explanation> Explain(const DumpOptions& options) {
  ASSIGN_OR_RETURN(const KernelFeatures features, KernelFeatures::Probe(options.kernel_features));
  ASSIGN_OR_RETURN(const std::vector<Target> targets, FindTree(options.pid));
  absl::StatusOr<Preflight> preflight = RunPreflight(options, targets, features);
  RETURN_IF_ERROR(ExplainByDeath(preflight.status(), std::span(targets).first(1)));
  Explanation explanation;
  SharedObjects shared;
  for (const Target& target : targets) {
    ASSIGN_OR_RETURN(ExplainedTask task, LookAt(target, *preflight, features, shared));
    if (target.pid == options.pid) task.parent = 0;
    explanation.tasks.push_back(std::move(task));
  }
  for (const auto& [id, object] : shared) explanation.shared_pages += object.pages;
  ASSIGN_OR_RETURN(explanation.images, ImagesOf(targets, shared));
  const bool has_terminals =
      std::any_of(explanation.tasks.begin(), explanation.tasks.end(),
                  [](const ExplainedTask& task) { return task.descriptors.contains("terminal"); });
  if (has_terminals) explanation.images.push_back(ImageName(ImageKind::kTtyInfo));
  if (preflight->cgroups_differ) explanation.images.push_back(ImageName(ImageKind::kCgroup));
  explanation.blockers = std::move(preflight->blockers);
  return explanation;
}

std::string NeededOption(const ResourceRefusal& blocker) {
  constexpr std::string_view kAdd = "add --";
  std::string_view option = blocker.remedy;
  const size_t at = option.find(kAdd);
  if (at == option.npos) return "";
  option.remove_prefix(at + kAdd.size());
  const size_t end = option.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-");
  const std::string name = absl::StrCat("--", std::string(option.substr(0, end)));
  if (end == option.npos || option[end] != ' ') return name;
  // A value, as that of --external, stands in brackets.
  option.remove_prefix(end + 1);
  const std::string_view value = option.substr(0, option.find(' '));
  return value.ends_with(']') ? absl::StrCat(name, " ", std::string(value)) : name;
}

}  // namespace dumpctl
