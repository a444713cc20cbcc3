#include "dump/mm/window_sharing.h"

#include <algorithm>

#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// A call costs as much as so many entries that nobody asked for.
constexpr uint64_t kGapPages = 64;

RemoteAddress EndOf(RemoteAddress start) { return start + kWindowPages * kImagePageSize; }

size_t PageIn(RemoteAddress start, RemoteAddress address) {
  return (address - start) / kImagePageSize;
}

}  // namespace

absl::Status WindowSharing::ReadParts(size_t task, std::span<const PageRun> parts,
                                      RemoteAddress start, Row& row) {
  const size_t first = PageIn(start, parts.front().start);
  const size_t end = PageIn(start, parts.back().end());
  RETURN_IF_ERROR(
      places_[task].Read(parts.front().start, std::span(row).subspan(first, end - first)));
  size_t page = first;
  for (const PageRun& part : parts) {
    // What lies between them is not to be saved.
    for (; page < PageIn(start, part.start); ++page) row[page] = kNoPlace;
    for (; page < PageIn(start, part.end()); ++page) {
      found_.hidden |= HidesPlace(row[page]);
      row[page] = SharedPlaceOf(row[page]);
    }
  }
  return absl::OkStatus();
}

absl::Status WindowSharing::ReadRow(size_t task, RemoteAddress start, Row& row) {
  row.fill(kNoPlace);
  const std::span<const PageRun> runs = tasks_[task].runs;
  auto run = std::partition_point(runs.begin(), runs.end(),
                                  [start](const PageRun& run) { return run.end() <= start; });
  parts_.clear();
  for (; run != runs.end() && run->start < EndOf(start); ++run) {
    const RemoteAddress begin = std::max(run->start, start);
    const RemoteAddress end = std::min(run->end(), EndOf(start));
    if (!parts_.empty() && begin - parts_.back().end() > kGapPages * kImagePageSize) {
      RETURN_IF_ERROR(ReadParts(task, parts_, start, row));
      parts_.clear();
    }
    parts_.push_back({begin, (end - begin) / kImagePageSize});
  }
  return parts_.empty() ? absl::OkStatus() : ReadParts(task, parts_, start, row);
}

void WindowSharing::Count(size_t task, const Row& row) {
  for (size_t page = 0; page < kWindowPages; ++page) {
    if (row[page] == kNoPlace) continue;
    for (Version& version : versions_[page]) {
      if (version.count == 0) version = {.place = row[page], .reader = task};
      if (version.place != row[page]) continue;
      ++version.count;
      break;
    }
  }
}

WindowSharing::Version* WindowSharing::SharedVersion(size_t page, PagePlace place) {
  if (place == kNoPlace) return nullptr;
  for (Version& version : versions_[page]) {
    if (version.count > 1 && version.place == place) return &version;
  }
  return nullptr;
}

bool WindowSharing::AnyShared() const {
  return std::any_of(versions_.begin(), versions_.end(), [](const Versions& versions) {
    return std::any_of(versions.begin(), versions.end(),
                       [](const Version& version) { return version.count > 1; });
  });
}

// The kernel moves pages at any time (compaction, migration, swap), and a frame may have been
// another's when the next task's was read. A version's reader was read before all others that have
// it: if its page is in the same place after them, it was when each of them was seen to have that
// place, and theirs is this page.
absl::Status WindowSharing::Confirm(const PageWindow& window, bool& same) {
  std::vector<size_t> readers;
  for (const Versions& versions : versions_) {
    for (const Version& version : versions) {
      if (version.count < 2) continue;
      if (readers.empty() || readers.back() != version.reader) readers.push_back(version.reader);
    }
  }
  std::sort(readers.begin(), readers.end());
  readers.erase(std::unique(readers.begin(), readers.end()), readers.end());
  Row again;
  for (auto reader = readers.begin(); reader != readers.end() && same; ++reader) {
    RETURN_IF_ERROR(ReadRow(*reader, window.start, again));
    for (size_t page = 0; page < kWindowPages; ++page) {
      for (const Version& version : versions_[page]) {
        if (version.count < 2 || version.reader != *reader) continue;
        same &= again[page] == version.place;
      }
    }
  }
  return absl::OkStatus();
}

void WindowSharing::KeepStretches(RemoteAddress start) {
  std::vector<FoundSharing::Stretch>& stretches = found_.stretches;
  const size_t first = stretches.size();
  // By rank: the stretch that the page before has gone to.
  std::array<size_t, kVersions> before;
  before.fill(SIZE_MAX);
  for (size_t page = 0; page < kWindowPages; ++page) {
    Versions& versions = versions_[page];
    std::stable_sort(versions.begin(), versions.end(),
                     [](const Version& a, const Version& b) { return a.count > b.count; });
    const RemoteAddress address = start + page * kImagePageSize;
    for (size_t rank = 0; rank < kVersions; ++rank) {
      Version& version = versions[rank];
      if (version.count < 2) {
        before[rank] = SIZE_MAX;
        continue;
      }
      size_t& stretch = before[rank];
      if (stretch < first || stretch >= stretches.size() ||
          stretches[stretch].shared.reader != version.reader) {
        stretch = stretches.size();
        stretches.push_back({{{address, 0}, version.reader}, rank});
      }
      ++stretches[stretch].shared.run.pages;
      version.stretch = stretch;
    }
  }
}

void WindowSharing::KeepUses(size_t task, RemoteAddress start, const Row& row) {
  std::vector<FoundSharing::Use>& uses = found_.uses;
  const size_t first = uses.size();
  for (size_t page = 0; page < kWindowPages; ++page) {
    const Version* const version = SharedVersion(page, row[page]);
    if (version == nullptr) continue;
    const RemoteAddress address = start + page * kImagePageSize;
    if (uses.size() > first && uses.back().stretch == version->stretch &&
        uses.back().run.end() == address) {
      ++uses.back().run.pages;
    } else {
      uses.push_back({task, {address, 1}, version->stretch});
    }
  }
}

absl::Status WindowSharing::Look(const PageWindow& window) {
  if (rows_.size() < window.tasks.size()) rows_.resize(window.tasks.size());
  versions_.fill({});
  for (size_t i = 0; i < window.tasks.size(); ++i) {
    RETURN_IF_ERROR(ReadRow(window.tasks[i], window.start, rows_[i]));
    if (found_.hidden) return absl::OkStatus();
    Count(window.tasks[i], rows_[i]);
  }
  if (!AnyShared()) return absl::OkStatus();
  bool same = true;
  RETURN_IF_ERROR(Confirm(window, same));
  if (!same) return absl::OkStatus();
  KeepStretches(window.start);
  for (size_t i = 0; i < window.tasks.size(); ++i)
    KeepUses(window.tasks[i], window.start, rows_[i]);
  return absl::OkStatus();
}

}  // namespace dumpctl
