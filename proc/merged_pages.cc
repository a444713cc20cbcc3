#include "proc/merged_pages.h"

#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "absl/status/statusor.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

std::optional<uint64_t> Number(const char* name) {
  std::ifstream file(std::string("/sys/kernel/mm/ksm/") + name);
  uint64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

// Not where a caller does not see any of it.
bool IsMissing() {
  return access("/sys/kernel/mm", F_OK) == 0 && access("/sys/kernel/mm/ksm", F_OK) != 0;
}

bool IsBefore(int major, int minor) {
  utsname name = {};
  int its_major = 0, its_minor = 0;
  if (uname(&name) < 0 || sscanf(name.release, "%d.%d", &its_major, &its_minor) != 2) return false;
  return std::pair(its_major, its_minor) < std::pair(major, minor);
}

}  // namespace

PageMerging PageMerging::Read() {
  PageMerging merging{.possible = !IsMissing()};
  if (!merging.possible) return merging;
  merging.active = Number("run").value_or(1) == 1;
  merging.some = Number("pages_shared").value_or(1) != 0;
  merging.scanned = Number("pages_scanned");
  merging.unmerging_marks = IsBefore(6, 2);
  return merging;
}

bool PageMerging::MayHaveTakenMarks(std::optional<uint64_t> then, bool mergeable) const {
  if (!possible) return false;
  // The page that is being merged is counted a little later.
  if (scanned) return scanned != then || (active && mergeable);
  return !unmerging_marks || (mergeable && (active || some));
}

FrameFlags FrameFlags::Open() {
  const absl::StatusOr<ProcDir> proc = ProcDir::OpenRoot();
  if (!proc.ok()) return {};
  absl::StatusOr<UniqueFd> file = proc->Open("kpageflags", O_RDONLY);
  if (!file.ok()) return {};
  return FrameFlags(*std::move(file));
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
