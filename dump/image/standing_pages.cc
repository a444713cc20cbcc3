#include "dump/image/standing_pages.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/image/image_reader.h"
#include "dump/image/image_table.h"
#include "dump/image/parent_images.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {
namespace {

// [start, end) of a file.
struct Extent {
  uint64_t start;
  uint64_t end;
};

// Between its holes. A file system that has none, or does not tell, says that all is data; the same
// file may have more holes than there are, where zeros were written. Both are right: what is
// written once more is right, always.
absl::StatusOr<std::vector<Extent>> DataOf(const std::string& path) {
  std::vector<Extent> data;
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file && errno == ENOENT) return data;
  if (!file) return absl::ErrnoToStatus(errno, path);
  for (off_t at = 0;;) {
    const off_t start = lseek(file.get(), at, SEEK_DATA);
    // Nothing but a hole, or nothing, from there on.
    if (start < 0 && errno == ENXIO) return data;
    at = start < 0 ? start : lseek(file.get(), start, SEEK_HOLE);
    if (at < 0) return absl::ErrnoToStatus(errno, absl::StrCat("holes in ", path));
    data.push_back({static_cast<uint64_t>(start), static_cast<uint64_t>(at)});
  }
}

void Append(const PageRun& run, std::vector<PageRun>& runs) {
  if (run.pages == 0) return;
  if (!runs.empty() && runs.back().end() == run.start) {
    runs.back().pages += run.pages;
  } else {
    runs.push_back(run);
  }
}

// What one pagemap, with its pages file, has of its own, and what it leaves to its parent images.
struct Level {
  std::vector<PageRun> own;
  std::vector<PageRun> left;
  uint64_t told = 0;  // pages, in all its runs
};

// Both are ascending: runs lie in the pages file in their order.
std::vector<PageRun> WithBytes(const std::vector<SavedPages>& saved,
                               const std::vector<Extent>& data) {
  std::vector<PageRun> found;
  auto extent = data.begin();
  for (const SavedPages& run : saved) {
    if (run.in_parent) continue;
    const uint64_t end = run.offset + run.pages * kImagePageSize;
    while (extent != data.end() && extent->end <= run.offset) ++extent;
    for (auto next = extent; next != data.end() && next->start < end; ++next) {
      const uint64_t from = (std::max(next->start, run.offset) + kImagePageSize - 1) /
                            kImagePageSize * kImagePageSize;
      const uint64_t to = std::min(next->end, end) / kImagePageSize * kImagePageSize;
      if (from >= to) continue;
      Append({run.start + (from - run.offset), (to - from) / kImagePageSize}, found);
    }
  }
  return found;
}

absl::StatusOr<std::optional<Level>> LevelIn(const std::string& directory,
                                             const std::string& name) {
  const std::string path = absl::StrCat(directory, "/", name);
  const absl::StatusOr<std::string> bytes = ReadFoundImage(path);
  if (absl::IsNotFound(bytes.status())) return std::nullopt;
  RETURN_IF_ERROR(bytes.status());
  ASSIGN_OR_RETURN(const SavedPagemap pagemap, ReadPagemap(path, *bytes));
  ASSIGN_OR_RETURN(
      const std::vector<Extent> data,
      DataOf(absl::StrCat(directory, "/", ImageName(ImageKind::kPages, pagemap.pages_id))));
  Level level{.own = WithBytes(pagemap.runs, data)};
  for (const SavedPages& run : pagemap.runs) {
    if (run.in_parent) Append({run.start, run.pages}, level.left);
    level.told += run.pages;
  }
  return level;
}

// In both, which are ascending.
std::vector<PageRun> Common(std::span<const PageRun> one, std::span<const PageRun> other) {
  std::vector<PageRun> common;
  auto at = other.begin();
  for (const PageRun& run : one) {
    while (at != other.end() && at->end() <= run.start) ++at;
    for (auto next = at; next != other.end() && next->start < run.end(); ++next) {
      const RemoteAddress start = std::max(run.start, next->start);
      Append({start, (std::min(run.end(), next->end()) - start) / kImagePageSize}, common);
    }
  }
  return common;
}

std::vector<PageRun> Joined(std::vector<PageRun> runs) {
  std::sort(runs.begin(), runs.end(),
            [](const PageRun& a, const PageRun& b) { return a.start < b.start; });
  std::vector<PageRun> joined;
  for (const PageRun& run : runs) Append(run, joined);
  return joined;
}

}  // namespace

absl::StatusOr<std::optional<StandingPages>> StandingPagesOf(const std::string& directory,
                                                             const std::string& name) {
  ASSIGN_OR_RETURN(std::optional<Level> nearest, LevelIn(directory, name));
  if (!nearest) return std::nullopt;
  std::vector<PageRun> found = std::move(nearest->own);
  std::vector<PageRun> left = std::move(nearest->left);
  if (!left.empty()) {
    ASSIGN_OR_RETURN(const std::vector<std::string> parents, ParentDirectories(directory));
    for (const std::string& parent : parents) {
      if (left.empty()) break;
      ASSIGN_OR_RETURN(const std::optional<Level> level, LevelIn(parent, name));
      // Nor does a restore look further.
      if (!level) break;
      const std::vector<PageRun> own = Common(left, level->own);
      found.insert(found.end(), own.begin(), own.end());
      left = Common(left, level->left);
    }
  }
  StandingPages pages{.runs = Joined(std::move(found))};
  pages.whole = PagesOf(pages.runs) == nearest->told;
  return pages;
}

}  // namespace dumpctl
