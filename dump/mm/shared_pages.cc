#include "dump/mm/shared_pages.h"

#include <algorithm>
#include <array>
#include <future>
#include <map>
#include <numeric>
#include <utility>

#include "dump/mm/window_sharing.h"
#include "dumpctl/beside.h"
#include "dumpctl/status_macros.h"
#include "proc/page_places.h"

namespace dumpctl {
namespace {

constexpr uint64_t kWindowBytes = kWindowPages * kImagePageSize;
// After so many windows in which nothing was shared, one of so many is looked at, and of the others
// so many pages.
constexpr size_t kPatience = 8;
constexpr size_t kSample = 16;
constexpr size_t kGlance = 16;
// From so many reads on, of one task's window each, a second thread is worth its start.
constexpr size_t kReadsForTwo = 100;

// All windows in which two tasks or more have something to save, ascending.
class Windows {
 public:
  explicit Windows(std::span<const SharingTask> tasks) {
    std::vector<std::pair<uint64_t, size_t>> parts;
    for (size_t task = 0; task < tasks.size(); ++task) {
      uint64_t next = 0;
      for (const PageRun& run : tasks[task].runs) {
        const uint64_t last = (run.end().value() - 1) / kWindowBytes;
        for (next = std::max(next, run.start.value() / kWindowBytes); next <= last; ++next) {
          parts.emplace_back(next, task);
        }
      }
    }
    std::sort(parts.begin(), parts.end());
    for (size_t i = 0; i < parts.size();) {
      const size_t first = i;
      while (i < parts.size() && parts[i].first == parts[first].first) ++i;
      if (i - first < 2) continue;
      groups_.push_back({parts[first].first, tasks_.size(), i - first});
      for (size_t part = first; part < i; ++part) tasks_.push_back(parts[part].second);
    }
  }

  size_t size() const { return groups_.size(); }
  size_t reads() const { return tasks_.size(); }
  // The window up to which half of all reads are.
  size_t Half() const {
    size_t i = 0;
    while (i < groups_.size() && groups_[i].first < tasks_.size() / 2) ++i;
    return i;
  }

  PageWindow operator[](size_t i) const {
    const Group& group = groups_[i];
    return {RemoteAddress(group.window * kWindowBytes),
            std::span(tasks_).subspan(group.first, group.count)};
  }

 private:
  struct Group {
    uint64_t window;
    size_t first;
    size_t count;
  };
  std::vector<Group> groups_;
  std::vector<size_t> tasks_;
};

// Some pages of a window, where one of its tasks has something: not always at its beginning, where
// whoever hands out memory in large pieces keeps what it has to know of them.
RemoteAddress PlaceToGlanceAt(const SharingTask& task, RemoteAddress start, size_t number) {
  const auto run = std::partition_point(task.runs.begin(), task.runs.end(),
                                        [start](const PageRun& run) { return run.end() <= start; });
  const RemoteAddress first = std::max(start, run->start);
  const RemoteAddress end = std::min(start + kWindowBytes, run->end());
  const uint64_t pages = (end - first) / kImagePageSize;
  constexpr uint64_t kStride = 37;  // from one window to the next
  const uint64_t skipped = pages <= kGlance ? 0 : number * kStride % (pages - kGlance + 1);
  return first + skipped * kImagePageSize;
}

// Whether some pages of it are shared.
absl::StatusOr<bool> Glance(std::span<const SharingTask> tasks, std::span<const PagePlaces> places,
                            const PageWindow& window, size_t number) {
  const size_t first = window.tasks[number % window.tasks.size()];
  const RemoteAddress at = PlaceToGlanceAt(tasks[first], window.start, number);
  const RemoteAddress end = window.start + kWindowBytes;
  std::array<uint64_t, kGlance> entries;
  const auto pages =
      std::span(entries).first(std::min<size_t>(kGlance, (end - at) / kImagePageSize));
  std::vector<std::pair<size_t, PagePlace>> found;
  for (const size_t task : window.tasks) {
    RETURN_IF_ERROR(places[task].Read(at, pages));
    for (size_t page = 0; page < pages.size(); ++page) {
      const PagePlace place = SharedPlaceOf(pages[page]);
      if (place != kNoPlace) found.emplace_back(page, place);
    }
  }
  std::sort(found.begin(), found.end());
  return std::adjacent_find(found.begin(), found.end()) != found.end();
}

absl::StatusOr<bool> Sample(std::span<const SharingTask> tasks, std::span<const PagePlaces> places,
                            const PageWindow& window) {
  WindowSharing sample(tasks, places);
  RETURN_IF_ERROR(sample.Look(window));
  return !sample.found().uses.empty();
}

absl::StatusOr<FoundSharing> LookAtWindows(std::span<const SharingTask> tasks,
                                           std::span<const PagePlaces> places,
                                           const Windows& windows, size_t begin, size_t end) {
  WindowSharing sharing(tasks, places);
  size_t misses = 0;
  size_t next = begin;  // behind the last that was looked at as a whole
  for (size_t i = begin; i < end && !sharing.found().hidden; ++i) {
    if (misses >= kPatience) {
      const bool is_sample = i % kSample == 0;
      ASSIGN_OR_RETURN(const bool shared, is_sample ? Sample(tasks, places, windows[i])
                                                    : Glance(tasks, places, windows[i], i));
      if (is_sample && !shared) next = i + 1;
      if (!shared) continue;
      // It began somewhere among those that were passed over.
      i = next;
      misses = 0;
    }
    const size_t before = sharing.found().uses.size();
    RETURN_IF_ERROR(sharing.Look(windows[i]));
    next = i + 1;
    misses = sharing.found().uses.size() == before ? misses + 1 : 0;
  }
  return sharing.found();
}

// `behind` is of higher addresses.
void Append(FoundSharing behind, FoundSharing& found) {
  const size_t shift = found.stretches.size();
  found.hidden |= behind.hidden;
  found.stretches.insert(found.stretches.end(), behind.stretches.begin(), behind.stretches.end());
  for (FoundSharing::Use use : behind.uses) {
    use.stretch += shift;
    found.uses.push_back(use);
  }
}

absl::StatusOr<FoundSharing> LookAtAll(std::span<const SharingTask> tasks,
                                       std::span<const PagePlaces> places, const Windows& windows) {
  if (windows.reads() < kReadsForTwo) {
    return LookAtWindows(tasks, places, windows, 0, windows.size());
  }
  const size_t half = windows.Half();
  auto beside =
      RunBeside([&] { return LookAtWindows(tasks, places, windows, half, windows.size()); });
  absl::StatusOr<FoundSharing> found = LookAtWindows(tasks, places, windows, 0, half);
  absl::StatusOr<FoundSharing> behind = beside.get();
  RETURN_IF_ERROR(found.status());
  RETURN_IF_ERROR(behind.status());
  Append(*std::move(behind), *found);
  return found;
}

// Which tasks belong together, by the smallest index among them.
class Kinship {
 public:
  explicit Kinship(size_t tasks) : elder_(tasks) { std::iota(elder_.begin(), elder_.end(), 0); }

  size_t Of(size_t task) {
    while (elder_[task] != task) task = elder_[task] = elder_[elder_[task]];
    return task;
  }

  void Join(size_t a, size_t b) {
    a = Of(a);
    b = Of(b);
    elder_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<size_t> elder_;
};

// Stretches of one family while they are chosen, by address.
class Chosen {
 public:
  bool Add(const SharedStretch& stretch) {
    const auto next = by_start_.upper_bound(stretch.run.start);
    if (next != by_start_.end() && next->first < stretch.run.end()) return false;
    if (next != by_start_.begin() && std::prev(next)->second.run.end() > stretch.run.start) {
      return false;
    }
    by_start_.emplace(stretch.run.start, stretch);
    return true;
  }

  PageFamily Family() const {
    PageFamily family;
    for (const auto& [start, stretch] : by_start_) {
      family.stretches.push_back(stretch);
      family.pages += stretch.run.pages;
    }
    return family;
  }

 private:
  std::map<RemoteAddress, SharedStretch> by_start_;
};

void AddRun(const PageRun& run, std::vector<PageRun>& runs) {
  if (!runs.empty() && runs.back().end() == run.start) {
    runs.back().pages += run.pages;
  } else {
    runs.push_back(run);
  }
}

SharedPages Settle(const FoundSharing& found, size_t tasks) {
  Kinship kin(tasks);
  for (const FoundSharing::Use& use : found.uses) {
    kin.Join(use.task, found.stretches[use.stretch].shared.reader);
  }
  // The version that most have first: no two of these are of the same page.
  std::map<size_t, Chosen> families;
  std::vector<bool> chosen(found.stretches.size());
  size_t left = found.stretches.size();
  for (size_t rank = 0; left > 0; ++rank) {
    for (size_t i = 0; i < found.stretches.size(); ++i) {
      if (found.stretches[i].rank != rank) continue;
      const SharedStretch& stretch = found.stretches[i].shared;
      chosen[i] = families[kin.Of(stretch.reader)].Add(stretch);
      --left;
    }
  }
  SharedPages shared;
  shared.in_family.resize(tasks);
  for (const FoundSharing::Use& use : found.uses) {
    if (!chosen[use.stretch]) continue;
    AddRun(use.run, shared.in_family[use.task]);
    shared.references += use.run.pages;
  }
  for (const auto& [elder, stretches] : families) {
    PageFamily family = stretches.Family();
    for (size_t task = 0; task < tasks; ++task) {
      if (kin.Of(task) == elder && !shared.in_family[task].empty()) family.members.push_back(task);
    }
    shared.families.push_back(std::move(family));
  }
  return shared;
}

}  // namespace

absl::StatusOr<SharedPages> FindSharedPages(std::span<const SharingTask> tasks) {
  SharedPages none;
  none.in_family.resize(tasks.size());
  if (tasks.size() < 2) return none;
  const Windows windows(tasks);
  if (windows.size() == 0) return none;
  std::vector<PagePlaces> places;
  for (const SharingTask& task : tasks) {
    absl::StatusOr<PagePlaces> opened = PagePlaces::Open(*task.dir);
    // EMFILE.
    if (absl::IsResourceExhausted(opened.status())) return none;
    ASSIGN_OR_RETURN(PagePlaces place, std::move(opened));
    places.push_back(std::move(place));
  }
  ASSIGN_OR_RETURN(const FoundSharing found, LookAtAll(tasks, places, windows));
  return found.hidden ? none : Settle(found, tasks.size());
}

std::vector<PageRun> RunsWithout(std::span<const PageRun> runs, std::span<const PageRun> taken) {
  std::vector<PageRun> rest;
  auto next = taken.begin();
  for (const PageRun& run : runs) {
    RemoteAddress at = run.start;
    while (next != taken.end() && next->end() <= at) ++next;
    for (auto piece = next; piece != taken.end() && piece->start < run.end(); ++piece) {
      if (at < piece->start) rest.push_back({at, (piece->start - at) / kImagePageSize});
      at = piece->end();
    }
    if (at < run.end()) rest.push_back({at, (run.end() - at) / kImagePageSize});
  }
  return rest;
}

}  // namespace dumpctl
