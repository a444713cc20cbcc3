#include "proc/thread_rows.h"

#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace dumpctl {
namespace {

// From so many on the time that loading takes is saved.
constexpr size_t kMany = 64;

}  // namespace

ThreadRows::ByTid ThreadRows::Learn(pid_t pid, size_t threads) {
  if (threads >= kMany && std::exchange(may_load_, false)) {
    absl::StatusOr<BpfThreads> loaded = BpfThreads::Load();
    if (loaded.ok()) loaded_ = *std::move(loaded);
  }
  return Read(pid, threads);
}

ThreadRows::ByTid ThreadRows::Read(pid_t pid, size_t threads) const {
  ByTid rows;
  if (threads < kMany || !loaded_) return rows;
  absl::StatusOr<std::vector<ThreadRow>> read = loaded_->Read(pid);
  if (!read.ok()) return rows;
  rows.reserve(read->size());
  for (ThreadRow& row : *read) rows.emplace(row.tid, std::move(row));
  return rows;
}

}  // namespace dumpctl
