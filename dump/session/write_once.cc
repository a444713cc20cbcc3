#include "dump/session/write_once.h"

#include <algorithm>
#include <utility>

#include "dump/image/image_table.h"
#include "dump/mm/divided_memory.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

uint32_t PidOf(const TreeFacts& facts, size_t task) {
  return static_cast<uint32_t>(facts.tasks[task].process.pid);
}

void LeaveOwn(const std::vector<PageRun>& in_family, ScannedPages& pages) {
  if (in_family.empty()) return;
  pages.runs = RunsWithout(pages.runs, in_family);
  pages.pages -= PagesOf(in_family);
}

bool HasParentToShare(const FrozenFacts& task) {
  return !task.pre_copied && MayHaveParent(task.vmas);
}

}  // namespace

bool WritesOnce(const DumpOptions& options, ImageSink& images) {
  // Earlier images take the same place, and a page server has one pagemap a task.
  const bool is_free =
      !options.track_mem && options.prev_images_dir.empty() && !options.page_server;
  return options.write_once && is_free && images.can_have_parent();
}

bool DividesLarge(const DumpOptions& options) {
  return !options.direct && options.output.empty() && HasTwoProcessors();
}

bool IsCopied(const PageFamily& family, const Snapshot& snapshot) {
  return std::all_of(family.stretches.begin(), family.stretches.end(),
                     [&snapshot](const SharedStretch& stretch) {
                       return snapshot.MemoryOf(stretch.reader) != nullptr;
                     });
}

bool IsCopied(const SharedPages& shared, const Snapshot& snapshot) {
  return std::all_of(shared.families.begin(), shared.families.end(),
                     [&snapshot](const PageFamily& family) { return IsCopied(family, snapshot); });
}

absl::Status FindFamilies(const FrozenTree& tree, TreeFacts& facts) {
  std::vector<SharingTask> tasks;
  for (size_t i = 0; i < facts.tasks.size(); ++i) {
    SharingTask& task = tasks.emplace_back(SharingTask{.dir = &tree.tasks()[i].dir()});
    if (HasParentToShare(facts.tasks[i])) task.runs = facts.tasks[i].pages.runs;
  }
  ASSIGN_OR_RETURN(facts.shared_pages, FindSharedPages(tasks));
  for (size_t i = 0; i < facts.tasks.size(); ++i) {
    LeaveOwn(facts.shared_pages.in_family[i], facts.tasks[i].pages);
  }
  return absl::OkStatus();
}

void DivideTasks(TreeFacts& facts) {
  std::vector<std::span<const PageRun>> runs;
  for (const FrozenFacts& task : facts.tasks) {
    runs.emplace_back();
    if (HasParentToShare(task)) runs.back() = task.pages.runs;
  }
  SharedPages& shared = facts.shared_pages;
  const size_t before = shared.families.size();
  DivideLarge(runs, shared);
  for (const PageFamily& family : std::span(shared.families).subspan(before)) {
    const size_t divided = family.members.front();
    LeaveOwn(shared.in_family[divided], facts.tasks[divided].pages);
  }
}

absl::StatusOr<FamilyMemory> FamilyMemory::Open(const FrozenTree* tree, const Snapshot& snapshot,
                                                const PageFamily& family) {
  FamilyMemory memory(family, snapshot);
  if (tree == nullptr) return memory;
  for (const SharedStretch& stretch : family.stretches) {
    if (memory.readers_.contains(stretch.reader)) continue;
    const FrozenTask& task = tree->tasks()[stretch.reader];
    // process_vm_readv(2) pins pages, and a page that is shared copy-on-write is copied for who has
    // it pinned: the task would share it no more.
    ASSIGN_OR_RETURN(FrozenTaskMemory reader,
                     FrozenTaskMemory::OpenSharing(task.pid(), task.dir()));
    memory.readers_.emplace(stretch.reader, std::move(reader));
  }
  return memory;
}

size_t FamilyMemory::ReaderOf(const PageRun& run) const {
  const auto next = std::partition_point(
      family_.stretches.begin(), family_.stretches.end(),
      [&run](const SharedStretch& stretch) { return stretch.run.start <= run.start; });
  return std::prev(next)->reader;
}

absl::Status FamilyMemory::Read(std::span<const PageRun> runs, std::span<std::byte> bytes) const {
  while (!runs.empty()) {
    const size_t reader = ReaderOf(runs.front());
    size_t count = 0;
    size_t size = 0;
    for (; count < runs.size() && ReaderOf(runs[count]) == reader; ++count) {
      size += runs[count].bytes();
    }
    const auto frozen = readers_.find(reader);
    const MemorySource& source = frozen != readers_.end()
                                     ? static_cast<const MemorySource&>(frozen->second)
                                     : *snapshot_.MemoryOf(reader);
    RETURN_IF_ERROR(source.Read(runs.first(count), bytes.first(size)));
    runs = runs.subspan(count);
    bytes = bytes.subspan(size);
  }
  return absl::OkStatus();
}

std::vector<PageRun> RunsOf(const PageFamily& family) {
  std::vector<PageRun> runs;
  runs.reserve(family.stretches.size());
  for (const SharedStretch& stretch : family.stretches) runs.push_back(stretch.run);
  return runs;
}

absl::StatusOr<std::vector<FamilyPagemap>> FamilyPagemaps(const TreeFacts& facts,
                                                          std::span<const PageSink> sinks) {
  std::vector<FamilyPagemap> pagemaps;
  size_t sink = facts.tasks.size() + facts.shared_memory.size();
  for (const PageFamily& family : facts.shared_pages.families) {
    ASSIGN_OR_RETURN(
        ImageWriter image,
        sinks[sink++].Pagemap(ImageKind::kPagemap, PidOf(facts, family.members.front())));
    FamilyPagemap& pagemap = pagemaps.emplace_back(FamilyPagemap{.image = std::move(image)});
    for (const size_t task : std::span(family.members).subspan(1)) {
      pagemap.also.push_back(ImageName(ImageKind::kPagemap, PidOf(facts, task)));
    }
  }
  return pagemaps;
}

}  // namespace dumpctl
