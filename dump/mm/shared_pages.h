#ifndef DUMP_MM_SHARED_PAGES_H_
#define DUMP_MM_SHARED_PAGES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/image/page_run.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// One task among those that may share pages. Both must outlive what they are used for.
struct SharingTask {
  const ProcDir* dir = nullptr;
  std::span<const PageRun> runs;  // what is to be saved of it, ascending
};

// Pages that several tasks have at the same addresses, to be read from one of them.
struct SharedStretch {
  PageRun run;
  size_t reader = 0;  // the index of the task
};

// Tasks that have pages in common, as forked ones do.
struct PageFamily {
  std::vector<size_t> members;  // indices of tasks, ascending; two at least, but see DivideLarge
  std::vector<SharedStretch> stretches;  // ascending, none overlapping another
  uint64_t pages = 0;                    // in all stretches
};

// Pages that need to be saved only once.
struct SharedPages {
  std::vector<PageFamily> families;
  // By task: those of its runs that its family has; ascending, none touching the next.
  std::vector<std::vector<PageRun>> in_family;
  uint64_t references = 0;  // pages, as often as there are tasks that have them
};

// Finds the pages that frozen tasks share copy-on-write (or merged by KSM) at the same address, by
// their frames of memory and slots of swap. Where several versions of a page are shared within a
// family, the one that most have is the family's. Nothing is found where frames are not shown, or
// where too few files may be opened. What it reads costs a tenth of what copying the pages would,
// and less where little is shared: after some windows without any it looks at a few pages of each
// alone, and at one of sixteen.
//
// Errors: NotFound when a task is gone.
absl::StatusOr<SharedPages> FindSharedPages(std::span<const SharingTask> tasks);

// `runs` but for what is in `taken`; both ascending.
std::vector<PageRun> RunsWithout(std::span<const PageRun> runs, std::span<const PageRun> taken);

}  // namespace dumpctl

#endif  // DUMP_MM_SHARED_PAGES_H_
