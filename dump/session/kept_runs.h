#ifndef DUMP_SESSION_KEPT_RUNS_H_
#define DUMP_SESSION_KEPT_RUNS_H_

#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/image/page_run.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// Runs in memory that a descriptor keeps, some 16 bytes each.
absl::StatusOr<UniqueFd> KeepRuns(std::span<const PageRun> runs);
absl::StatusOr<std::vector<PageRun>> ReadRuns(BorrowedFd kept);

}  // namespace dumpctl

#endif  // DUMP_SESSION_KEPT_RUNS_H_
