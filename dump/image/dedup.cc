#include "dump/image/dedup.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dump/image/directory_entries.h"
#include "dump/image/image_reader.h"
#include "dump/image/joined_ranges.h"
#include "dump/image/page_hole.h"
#include "dump/image/page_sink.h"
#include "dump/image/parent_images.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {
namespace {

struct Range {
  uint64_t start;
  uint64_t end;
};
// Ascending, none touching the next; by the name of the pagemap.
using Superseded = std::map<std::string, std::vector<Range>>;

uint64_t EndOf(const SavedPages& run) { return run.start.value() + run.pages * kImagePageSize; }

absl::StatusOr<std::vector<std::string>> PagemapsIn(const std::string& directory) {
  const UniqueFd dir(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return absl::ErrnoToStatus(errno, directory);
  ASSIGN_OR_RETURN(std::vector<std::string> names, NamesIn(BorrowedFd(dir)));
  std::erase_if(names, [](const std::string& name) {
    const auto kind = KindOfImageName(name);
    return kind != ImageKind::kPagemap && kind != ImageKind::kSharedPagemap;
  });
  return names;
}

absl::StatusOr<SavedPagemap> PagemapAt(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadFoundImage(path));
  return ReadPagemap(path, bytes);
}

// The pages files of a directory that several pagemaps name: pages that forked tasks share. What
// one of them has no use for, another may have.
absl::StatusOr<std::set<uint32_t>> SharedFilesIn(const std::string& directory) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, PagemapsIn(directory));
  std::set<uint32_t> once;
  std::set<uint32_t> shared;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const SavedPagemap pagemap, PagemapAt(absl::StrCat(directory, "/", name)));
    if (!once.insert(pagemap.pages_id).second) shared.insert(pagemap.pages_id);
  }
  return shared;
}

void AddWritten(const SavedPagemap& pagemap, std::vector<Range>& ranges) {
  for (const SavedPages& run : pagemap.runs) {
    if (!run.in_parent) ranges.push_back({run.start.value(), EndOf(run)});
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.start < b.start; });
  std::vector<Range> merged;
  for (const Range& range : ranges) JoinRange(range, merged);
  ranges = std::move(merged);
}

absl::Status Punch(BorrowedFd file, const std::string& path, uint64_t offset, uint64_t bytes) {
  if (PunchHole(file, offset, bytes) == 0) return absl::OkStatus();
  return MakeFailure(Failure::kImagesDir, absl::StatusCode::kFailedPrecondition,
                     absl::StrCat("freeing pages in ", path, ": ", std::strerror(errno),
                                  errno == EOPNOTSUPP ? "; its file system cannot" : ""));
}

absl::StatusOr<uint64_t> FreeIn(const std::string& directory, const SavedPagemap& pagemap,
                                const std::vector<Range>& ranges) {
  const std::string path =
      absl::StrCat(directory, "/", ImageName(ImageKind::kPages, pagemap.pages_id));
  const UniqueFd file(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) return absl::ErrnoToStatus(errno, path);
  struct stat stat = {};
  if (fstat(file.get(), &stat) < 0 || !S_ISREG(stat.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is no regular file"));
  }
  uint64_t freed = 0;
  size_t next = 0;
  for (const SavedPages& run : pagemap.runs) {
    if (run.in_parent) continue;
    const uint64_t start = run.start.value();
    while (next < ranges.size() && ranges[next].end <= start) ++next;
    for (size_t i = next; i < ranges.size() && ranges[i].start < EndOf(run); ++i) {
      const uint64_t from = std::max(start, ranges[i].start);
      const uint64_t bytes = std::min(EndOf(run), ranges[i].end) - from;
      RETURN_IF_ERROR(Punch(BorrowedFd(file), path, run.offset + (from - start), bytes));
      freed += bytes / kImagePageSize;
    }
  }
  return freed;
}

// Until they are closed.
absl::Status Lock(const std::string& directory, int how, std::vector<UniqueFd>& locks) {
  locks.emplace_back(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!locks.back()) return absl::ErrnoToStatus(errno, directory);
  // Where a file system has no locks, there are none.
  if (flock(locks.back().get(), how | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
    return absl::OkStatus();
  }
  return MakeFailure(Failure::kImagesDir, absl::StatusCode::kUnavailable,
                     absl::StrCat("freeing pages in ", directory,
                                  ": another dump reads or writes there; wait for it"));
}

}  // namespace

absl::StatusOr<DedupCounts> DedupParents(const std::string& images_dir, const ParentImages* own) {
  ASSIGN_OR_RETURN(const std::vector<std::string> parents, ParentDirectories(images_dir));
  std::vector<UniqueFd> locks;
  if (own != nullptr) {
    RETURN_IF_ERROR(own->KeepAlone());
  } else {
    // What is being written yet has no say in what is superseded.
    if (!parents.empty()) RETURN_IF_ERROR(Lock(images_dir, LOCK_SH, locks));
    for (const std::string& each : parents) RETURN_IF_ERROR(Lock(each, LOCK_EX, locks));
  }
  DedupCounts counts{.directories = parents.size()};
  Superseded superseded;
  std::string nearer = images_dir;
  for (const std::string& directory : parents) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, PagemapsIn(nearer));
    for (const std::string& name : names) {
      ASSIGN_OR_RETURN(const SavedPagemap pagemap, PagemapAt(absl::StrCat(nearer, "/", name)));
      AddWritten(pagemap, superseded[name]);
    }
    ASSIGN_OR_RETURN(const std::set<uint32_t> shared, SharedFilesIn(directory));
    for (const auto& [name, ranges] : superseded) {
      const absl::StatusOr<SavedPagemap> older = PagemapAt(absl::StrCat(directory, "/", name));
      if (absl::IsNotFound(older.status())) continue;
      RETURN_IF_ERROR(older.status());
      if (shared.contains(older->pages_id)) continue;
      ASSIGN_OR_RETURN(const uint64_t freed, FreeIn(directory, *older, ranges));
      counts.pages += freed;
    }
    nearer = directory;
  }
  return counts;
}

}  // namespace dumpctl
