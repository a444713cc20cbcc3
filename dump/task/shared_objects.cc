#include "dump/task/shared_objects.h"

#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <map>
#include <optional>
#include <utility>

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

// The processes sorted, those that share an object next to each other. `begins` says which differ
// from the one before.
struct Sorted {
  std::vector<pid_t> pids;
  std::vector<bool> begins;
};

bool AreTheSame(std::span<const pid_t> pids, std::span<const pid_t> others) {
  std::vector<pid_t> a(pids.begin(), pids.end());
  std::vector<pid_t> b(others.begin(), others.end());
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b;
}

// None where they are not in this order (any more).
absl::StatusOr<std::optional<Sorted>> Confirm(std::span<const pid_t> pids,
                                              const std::vector<pid_t>& order, int type) {
  std::optional<Sorted> none;
  if (!AreTheSame(pids, order)) return none;
  Sorted sorted{.pids = order, .begins = {true}};
  for (size_t i = 1; i < order.size(); ++i) {
    ASSIGN_OR_RETURN(const int compared, Compare(order[i - 1], order[i], type));
    if (compared != 0 && compared != 1) return none;
    sorted.begins.push_back(compared != 0);
  }
  return std::optional(std::move(sorted));
}

absl::StatusOr<Sorted> Sort(std::span<const pid_t> pids, int type) {
  std::vector<std::vector<pid_t>> groups;
  std::vector<pid_t> first;  // of each
  for (const pid_t pid : pids) {
    ASSIGN_OR_RETURN(const Place place, FindPlace(first, pid, type));
    const auto index = static_cast<std::ptrdiff_t>(place.index);
    if (!place.same) {
      first.insert(first.begin() + index, pid);
      groups.insert(groups.begin() + index, std::vector<pid_t>());
    }
    groups[place.index].push_back(pid);
  }
  Sorted sorted;
  for (const std::vector<pid_t>& group : groups) {
    for (size_t i = 0; i < group.size(); ++i) {
      sorted.pids.push_back(group[i]);
      sorted.begins.push_back(i == 0);
    }
  }
  return sorted;
}

// The group of each: those with the same object have the same, which is below pids.size().
absl::StatusOr<std::vector<size_t>> Group(std::span<const pid_t> pids, int type,
                                          std::vector<pid_t>& order) {
  if (pids.empty()) return std::vector<size_t>();
  ASSIGN_OR_RETURN(std::optional<Sorted> sorted, Confirm(pids, order, type));
  if (!sorted) {
    ASSIGN_OR_RETURN(sorted, Sort(pids, type));
  }
  std::map<pid_t, size_t> group_of;
  size_t groups = 0;
  for (size_t i = 0; i < sorted->pids.size(); ++i) {
    if (sorted->begins[i]) ++groups;
    group_of.emplace(sorted->pids[i], groups - 1);
  }
  order = std::move(sorted->pids);
  std::vector<size_t> found;
  for (const pid_t pid : pids) found.push_back(group_of[pid]);
  return found;
}

// Only processes with the same memory can have signal handlers in common: clone(2) takes
// CLONE_SIGHAND with CLONE_VM alone, and execve(2), which gives a process memory of its own, gives
// it handlers of its own as well. So most need not be asked.
absl::StatusOr<std::vector<size_t>> GroupByHandlers(std::span<const pid_t> pids,
                                                    const std::vector<size_t>& memory,
                                                    std::vector<pid_t>& order) {
  std::vector<size_t> having(pids.size());
  for (const size_t group : memory) ++having[group];
  std::vector<size_t> places;
  std::vector<pid_t> asked;
  std::vector<size_t> groups(pids.size());
  for (size_t i = 0; i < pids.size(); ++i) {
    groups[i] = i;
    if (having[memory[i]] < 2) continue;
    places.push_back(i);
    asked.push_back(pids[i]);
  }
  ASSIGN_OR_RETURN(const std::vector<size_t> told, Group(asked, KCMP_SIGHAND, order));
  for (size_t i = 0; i < told.size(); ++i) groups[places[i]] = places[told[i]];
  return groups;
}

// Numbered as they are met.
void Number(const std::vector<size_t>& groups, uint32_t ObjectIds::*id,
            std::vector<ObjectIds>& ids) {
  std::vector<uint32_t> numbers(groups.size());
  uint32_t next = kDumperObject;
  for (size_t i = 0; i < groups.size(); ++i) {
    uint32_t& number = numbers[groups[i]];
    if (number == 0) number = ++next;
    ids[i].*id = number;
  }
}

}  // namespace

absl::StatusOr<std::vector<ObjectIds>> IdentifyObjects(std::span<const pid_t> pids) {
  ObjectOrder order;
  return IdentifyObjects(pids, order);
}

absl::StatusOr<std::vector<ObjectIds>> IdentifyObjects(std::span<const pid_t> pids,
                                                       ObjectOrder& order) {
  std::vector<ObjectIds> ids(pids.size());
  auto& [vm, files, fs, sighand] = order.sorted;
  ASSIGN_OR_RETURN(const std::vector<size_t> memory, Group(pids, KCMP_VM, vm));
  Number(memory, &ObjectIds::vm, ids);
  ASSIGN_OR_RETURN(std::vector<size_t> groups, Group(pids, KCMP_FILES, files));
  Number(groups, &ObjectIds::files, ids);
  ASSIGN_OR_RETURN(groups, Group(pids, KCMP_FS, fs));
  Number(groups, &ObjectIds::fs, ids);
  ASSIGN_OR_RETURN(groups, GroupByHandlers(pids, memory, sighand));
  Number(groups, &ObjectIds::sighand, ids);
  return ids;
}

}  // namespace dumpctl
