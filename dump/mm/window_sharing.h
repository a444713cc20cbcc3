#ifndef DUMP_MM_WINDOW_SHARING_H_
#define DUMP_MM_WINDOW_SHARING_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "dump/image/page_run.h"
#include "dump/mm/shared_pages.h"
#include "proc/page_places.h"

namespace dumpctl {

// The same 2 MiB of several tasks.
struct PageWindow {
  RemoteAddress start;
  std::span<const size_t> tasks;  // indices, ascending
};
inline constexpr uint64_t kWindowPages = 512;

// What was found shared: stretches by reader, and who has which pages of them.
struct FoundSharing {
  struct Stretch {
    SharedStretch shared;
    size_t rank = 0;  // 0: the version of these pages that most tasks have
  };
  struct Use {
    size_t task;
    PageRun run;
    size_t stretch;  // its index
  };
  std::vector<Stretch> stretches;
  std::vector<Use> uses;  // of each task ascending
  bool hidden = false;    // frames are not shown
};

// Looks at one window after the other, in memory for one.
class WindowSharing {
 public:
  WindowSharing(std::span<const SharingTask> tasks, std::span<const PagePlaces> places)
      : tasks_(tasks), places_(places) {}

  // Adds what is shared there to what has been found. Windows ascend.
  absl::Status Look(const PageWindow& window);

  const FoundSharing& found() const { return found_; }

 private:
  using Row = std::array<uint64_t, kWindowPages>;
  // A page that several tasks have at an address.
  struct Version {
    PagePlace place = kNoPlace;
    size_t count = 0;
    size_t reader = 0;   // the first that has it
    size_t stretch = 0;  // where it went
  };
  // More of them at one address, and the rest is no more looked at.
  static constexpr size_t kVersions = 4;
  using Versions = std::array<Version, kVersions>;

  absl::Status ReadRow(size_t task, RemoteAddress start, Row& row);
  absl::Status ReadParts(size_t task, std::span<const PageRun> parts, RemoteAddress start,
                         Row& row);
  void Count(size_t task, const Row& row);
  Version* SharedVersion(size_t page, PagePlace place);
  bool AnyShared() const;
  absl::Status Confirm(const PageWindow& window, bool& same);
  void KeepStretches(RemoteAddress start);
  void KeepUses(size_t task, RemoteAddress start, const Row& row);

  std::span<const SharingTask> tasks_;
  std::span<const PagePlaces> places_;
  FoundSharing found_;
  std::vector<Row> rows_;  // places, of the window's tasks
  std::array<Versions, kWindowPages> versions_;
  std::vector<PageRun> parts_;  // used again and again
};

}  // namespace dumpctl

#endif  // DUMP_MM_WINDOW_SHARING_H_
