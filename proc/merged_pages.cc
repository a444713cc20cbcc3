#include "proc/merged_pages.h"

#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>

#include "absl/status/statusor.h"

namespace dumpctl {
namespace {

// Not 0 where that cannot be read.
uint64_t Count(const char* name) {
  std::ifstream file(std::string("/sys/kernel/mm/ksm/") + name);
  uint64_t number = 1;
  return file >> number ? number : 1;
}

// A kernel without any of it, and not a caller who does not see it.
bool CannotMerge() {
  return access("/sys/kernel/mm", F_OK) == 0 && access("/sys/kernel/mm/ksm", F_OK) != 0;
}

// Since the machine was started.
bool HasNeverMerged() {
  return CannotMerge() || (Count("full_scans") == 0 && Count("pages_shared") == 0);
}

}  // namespace

bool HasNoMergedPages(const ProcDir& task) {
  if (HasNeverMerged()) return true;
  const absl::StatusOr<std::string> merging = task.ReadWhole("ksm_merging_pages");
  const absl::StatusOr<std::string> stat = task.ReadWhole("ksm_stat");
  return merging.ok() && *merging == "0\n" && stat.ok() && stat->starts_with("ksm_rmap_items 0\n");
}

FrameFlags FrameFlags::Open() {
  const absl::StatusOr<ProcDir> proc = ProcDir::OpenRoot();
  if (!proc.ok()) return FrameFlags(UniqueFd());
  absl::StatusOr<UniqueFd> file = proc->Open("kpageflags", O_RDONLY);
  return FrameFlags(file.ok() ? *std::move(file) : UniqueFd());
}

bool FrameFlags::IsForked(uint64_t frame) const {
  constexpr uint64_t kAnonymous = uint64_t{1} << KPF_ANON;
  constexpr uint64_t kMerged = uint64_t{1} << KPF_KSM;
  uint64_t flags = 0;
  const auto at = static_cast<off_t>(frame * sizeof flags);
  if (pread(file_.get(), &flags, sizeof flags, at) != sizeof flags) return false;
  return (flags & (kAnonymous | kMerged)) == kAnonymous;
}

}  // namespace dumpctl
