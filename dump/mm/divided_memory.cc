#include "dump/mm/divided_memory.h"

#include <sched.h>

#include <algorithm>

namespace dumpctl {

std::vector<PageRun> FirstPages(std::span<const PageRun> runs, uint64_t pages) {
  std::vector<PageRun> first;
  for (const PageRun& run : runs) {
    if (pages == 0) break;
    first.push_back({run.start, std::min(run.pages, pages)});
    pages -= first.back().pages;
  }
  return first;
}

void DivideLarge(std::span<const std::span<const PageRun>> runs, SharedPages& shared) {
  shared.in_family.resize(runs.size());
  for (size_t i = 0; i < runs.size(); ++i) {
    const uint64_t pages = PagesOf(runs[i]);
    if (pages * kImagePageSize < kWorthDividing || !shared.in_family[i].empty()) continue;
    PageFamily& family =
        shared.families.emplace_back(PageFamily{.members = {i}, .pages = pages / 2});
    shared.in_family[i] = FirstPages(runs[i], family.pages);
    for (const PageRun& run : shared.in_family[i]) family.stretches.push_back({run, i});
    shared.references += family.pages;
  }
}

std::optional<size_t> FamilyOfDivided(const SharedPages& shared, size_t task) {
  for (size_t i = 0; i < shared.families.size(); ++i) {
    const std::vector<size_t>& members = shared.families[i].members;
    if (members.size() == 1 && members.front() == task) return i;
  }
  return std::nullopt;
}

bool HasTwoProcessors() {
  cpu_set_t processors;
  // Where there are more than the set holds there are two.
  return sched_getaffinity(0, sizeof processors, &processors) < 0 || CPU_COUNT(&processors) >= 2;
}

}  // namespace dumpctl
