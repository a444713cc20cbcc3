#include "dump/session/explanation.h"

#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/fd/descriptor.h"
#include "dump/fd/file_refusal.h"
#include "dump/mm/divided_memory.h"
#include "dump/mm/page_scanner.h"
#include "dump/mm/shared_memory.h"
#include "dump/mm/shared_pages.h"
#include "dump/session/image_forecast.h"
#include "dump/session/preflight.h"
#include "dump/session/target.h"
#include "dump/session/write_once.h"
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
  return ListThreads(target.dir, target.pid).value_or(std::vector<int>());
}

absl::Status CountDescriptors(const Target& target, ExplainedTask& task) {
  ASSIGN_OR_RETURN(const std::vector<Descriptor> descriptors, PeekDescriptors(target.dir));
  for (const Descriptor& descriptor : descriptors) {
    ++task.descriptors[std::string(FileTypeName(descriptor.stat, descriptor.link.value()))];
  }
  return absl::OkStatus();
}

absl::Status LookAtMemory(const Target& target, const VmaList& vmas, const KernelFeatures& features,
                          SharedObjects& shared, std::vector<PageRun>& runs, ExplainedTask& task) {
  task.mappings = vmas.size();
  for (const Vma& vma : vmas) task.file_mappings += vma.fd() >= 0;
  ASSIGN_OR_RETURN(ScannedPages scanned, ScanPages(target.dir, vmas, features));
  task.pages = scanned.pages;
  if (MayHaveParent(vmas)) runs = scanned.runs;
  ASSIGN_OR_RETURN(shared, FindSharedObjects(vmas, std::move(shared)));
  return absl::OkStatus();
}

absl::StatusOr<ExplainedTask> LookAt(const Target& target, const Preflight& preflight,
                                     const KernelFeatures& features, SharedObjects& shared,
                                     std::vector<PageRun>& runs) {
  ExplainedTask task{.pid = target.pid,
                     .parent = target.stat.ppid,
                     .comm = target.stat.comm,
                     .state = target.stat.state};
  task.threads = ThreadsOf(target).size();
  RETURN_IF_ERROR(IgnoreGone(CountDescriptors(target, task)));
  const auto looked_at = preflight.tasks.find(target.pid);
  if (looked_at == preflight.tasks.end() || !looked_at->second.vmas) return task;
  RETURN_IF_ERROR(
      IgnoreGone(LookAtMemory(target, *looked_at->second.vmas, features, shared, runs, task)));
  return task;
}

// None where one of them ends meanwhile.
absl::StatusOr<SharedPages> SharedBy(std::span<const Target> targets,
                                     std::span<const std::vector<PageRun>> runs) {
  std::vector<SharingTask> tasks;
  for (size_t i = 0; i < targets.size(); ++i) tasks.push_back({&targets[i].dir, runs[i]});
  absl::StatusOr<SharedPages> shared = FindSharedPages(tasks);
  return absl::IsNotFound(shared.status()) ? SharedPages() : std::move(shared);
}

}  // namespace

absl::StatusOr<Explanation> Explain(const DumpOptions& options) {
  ASSIGN_OR_RETURN(const KernelFeatures features, KernelFeatures::Probe(options.kernel_features));
  ASSIGN_OR_RETURN(const std::vector<Target> targets, FindTree(options.pid));
  absl::StatusOr<Preflight> preflight = RunPreflight(options, targets, features);
  RETURN_IF_ERROR(ExplainByDeath(preflight.status(), std::span(targets).first(1)));
  Explanation explanation;
  SharedObjects shared;
  std::vector<std::vector<PageRun>> runs;
  for (const Target& target : targets) {
    ASSIGN_OR_RETURN(ExplainedTask task,
                     LookAt(target, *preflight, features, shared, runs.emplace_back()));
    if (target.pid == options.pid) task.parent = 0;
    explanation.tasks.push_back(std::move(task));
  }
  for (const auto& [id, object] : shared) explanation.shared_pages += object.pages;
  ASSIGN_OR_RETURN(explanation.images, ForecastImages(options, targets, *preflight));
  const bool parent_is_free =
      !options.track_mem && options.prev_images_dir.empty() && !options.page_server;
  if (options.write_once && parent_is_free) {
    ASSIGN_OR_RETURN(SharedPages once, SharedBy(targets, runs));
    if (DividesLarge(options)) {
      const std::vector<std::span<const PageRun>> all(runs.begin(), runs.end());
      DivideLarge(all, once);
    }
    explanation.repeated_pages = once.references;
    for (const PageFamily& family : once.families) explanation.repeated_pages -= family.pages;
    for (std::string& name : ForecastFamilies(targets, once)) {
      explanation.images.push_back(std::move(name));
    }
  }
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
