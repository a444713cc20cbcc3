#include "dump/mm/divided_memory.h"

#include <sched.h>

#include <algorithm>

namespace dumpctl {

void DivideLarge(std::span<const std::span<const PageRun>> runs, SharedPages& shared) {
  shared.in_family.resize(runs.size());
  for (size_t i = 0; i < runs.size(); ++i) {
    const uint64_t pages = PagesOf(runs[i]);
    if (pages * kImagePageSize < kWorthDividing || !shared.in_family[i].empty()) continue;
    PageFamily& family = shared.families.emplace_back(PageFamily{.members = {i}});
    for (auto run = runs[i].begin(); family.pages < pages / 2; ++run) {
      const PageRun taken = {run->start, std::min(run->pages, pages / 2 - family.pages)};
      family.stretches.push_back({taken, i});
      shared.in_family[i].push_back(taken);
      family.pages += taken.pages;
    }
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
