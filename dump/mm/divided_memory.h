#ifndef DUMP_MM_DIVIDED_MEMORY_H_
#define DUMP_MM_DIVIDED_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dump/image/page_run.h"
#include "dump/mm/shared_pages.h"

namespace dumpctl {

// Memory that two write at the same time, into two files: the kernel lets one alone write into one
// file, and the format has one file for the pages of a task. But each of its pages may be in the
// parent images as well, so the first half of a large task's pages becomes a family's of which it
// is the only member, and goes where families go.

// From so much on the second file is worth it.
inline constexpr uint64_t kWorthDividing = uint64_t{64} << 20;

// The first `pages` of these, or all.
std::vector<PageRun> FirstPages(std::span<const PageRun> runs, uint64_t pages);

// Divides tasks that have so much and are in no family yet. `runs`: by task, what is to be saved of
// it; nothing for those that are not to be divided. `shared`: of the same tasks (FindSharedPages).
void DivideLarge(std::span<const std::span<const PageRun>> runs, SharedPages& shared);

// The family that a divided task's first half is in; none where it is not divided.
std::optional<size_t> FamilyOfDivided(const SharedPages& shared, size_t task);

// Whether there are processors for two of us.
bool HasTwoProcessors();

}  // namespace dumpctl

#endif  // DUMP_MM_DIVIDED_MEMORY_H_
