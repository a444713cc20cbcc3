#include "dump/task/shared_objects.h"

#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::StatusOr<int> Compare(pid_t a, pid_t b, int type) {
  const long order = syscall(SYS_kcmp, a, b, type, 0, 0);
  if (order >= 0) return static_cast<int>(order);
  if (errno == ENOSYS || errno == EOPNOTSUPP) {
    return MakeFailure(Failure::kHost, absl::StatusCode::kFailedPrecondition,
                       "the kernel does not tell what processes share: kcmp(2) (CONFIG_KCMP) is "
                       "needed");
  }
  return absl::ErrnoToStatus(errno, absl::StrCat("kcmp of processes ", a, " and ", b));
}

// Where `pid` belongs among those that are sorted, and whether it shares the object with the one
// that stands there.
struct Place {
  size_t index;
  bool same;
};

absl::StatusOr<Place> FindPlace(const std::vector<pid_t>& sorted, pid_t pid, int type) {
  size_t begin = 0;
  size_t end = sorted.size();
  while (begin < end) {
    const size_t middle = begin + (end - begin) / 2;
    ASSIGN_OR_RETURN(const int order, Compare(pid, sorted[middle], type));
    if (order == 0) return Place{middle, true};
    if (order == 1) {
      end = middle;
    } else {
      begin = middle + 1;
    }
  }
  return Place{begin, false};
}

absl::Status Identify(std::span<const pid_t> pids, int type, uint32_t ObjectIds::*id,
                      std::vector<ObjectIds>& ids) {
  std::vector<pid_t> sorted;        // one for each object
  std::vector<uint32_t> of_sorted;  // their numbers
  uint32_t next = kDumperObject;
  for (size_t i = 0; i < pids.size(); ++i) {
    ASSIGN_OR_RETURN(const Place place, FindPlace(sorted, pids[i], type));
    const auto index = static_cast<std::ptrdiff_t>(place.index);
    if (!place.same) {
      sorted.insert(sorted.begin() + index, pids[i]);
      of_sorted.insert(of_sorted.begin() + index, ++next);
    }
    ids[i].*id = of_sorted[place.index];
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<ObjectIds>> IdentifyObjects(std::span<const pid_t> pids) {
  std::vector<ObjectIds> ids(pids.size());
  RETURN_IF_ERROR(Identify(pids, KCMP_VM, &ObjectIds::vm, ids));
  RETURN_IF_ERROR(Identify(pids, KCMP_FILES, &ObjectIds::files, ids));
  RETURN_IF_ERROR(Identify(pids, KCMP_FS, &ObjectIds::fs, ids));
  RETURN_IF_ERROR(Identify(pids, KCMP_SIGHAND, &ObjectIds::sighand, ids));
  return ids;
}

}  // namespace dumpctl
