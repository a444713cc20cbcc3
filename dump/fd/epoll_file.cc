#include "dump/fd/epoll_file.h"

#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "proc/event_fdinfo_parser.h"

namespace dumpctl {
namespace {

// Whether `slot` of an epoll of that process watches the open file of its descriptor `number`.
absl::StatusOr<bool> Watches(pid_t pid, const kcmp_epoll_slot& slot, int number) {
  const long order = syscall(SYS_kcmp, pid, pid, KCMP_EPOLL_TFD, number, &slot);
  if (order < 0) {
    return MakeFailure(Failure::kHost, absl::StatusCode::kFailedPrecondition,
                       "the kernel does not tell what an epoll watches: kcmp(2) (CONFIG_KCMP) is "
                       "needed");
  }
  return order == 0;
}

// A watch of the kernel, and the number by which it is restored.
struct Slot {
  EpollWatch watch;
  kcmp_epoll_slot slot;
  std::optional<int> number;
};

std::vector<Slot> SlotsOf(int epoll, const std::vector<EpollWatch>& watches) {
  std::vector<Slot> slots;
  // The kernel keeps apart what was added under one number by its place.
  std::map<int, uint32_t> places;
  for (const EpollWatch& watch : watches) {
    slots.push_back({watch,
                     {static_cast<uint32_t>(epoll), static_cast<uint32_t>(watch.number),
                      places[watch.number]++},
                     std::nullopt});
  }
  return slots;
}

}  // namespace

absl::StatusOr<EpollWatches> ReadEpollWatches(pid_t pid, int epoll, std::string_view info_text,
                                              const std::vector<int>& numbers) {
  ASSIGN_OR_RETURN(const std::vector<EpollWatch> watches, ParseEpollInfo(info_text));
  std::vector<Slot> slots = SlotsOf(epoll, watches);
  std::set<int> taken;
  // First those that still have their own number, which nothing else may take.
  for (Slot& slot : slots) {
    const int own = slot.watch.number;
    if (!std::binary_search(numbers.begin(), numbers.end(), own)) continue;
    ASSIGN_OR_RETURN(const bool same, Watches(pid, slot.slot, own));
    if (same && taken.insert(own).second) slot.number = own;
  }
  for (Slot& slot : slots) {
    for (const int other : numbers) {
      if (slot.number) break;
      if (taken.contains(other)) continue;
      ASSIGN_OR_RETURN(const bool same, Watches(pid, slot.slot, other));
      if (same && taken.insert(other).second) slot.number = other;
    }
  }
  EpollWatches read;
  for (const Slot& slot : slots) {
    if (!slot.number) {
      read.lost.push_back(slot.watch.number);
      continue;
    }
    image::eventpoll_tfd_entry* tfd = read.entry.add_tfd();
    tfd->set_id(0);
    tfd->set_tfd(static_cast<uint32_t>(*slot.number));
    tfd->set_events(slot.watch.events);
    tfd->set_data(slot.watch.data);
    tfd->set_dev(slot.watch.device);
    tfd->set_inode(slot.watch.inode);
    tfd->set_pos(slot.watch.pos);
  }
  return read;
}

}  // namespace dumpctl
