#include "dump/image/parent_images.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/image/image_reader.h"
#include "dump/image/page_sink.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "proto/inventory.pb.h"
#include "proto/mm.pb.h"

namespace dumpctl {
namespace {

constexpr uint32_t kParentFlag = 1 << 0;
constexpr uint32_t kPresentFlag = 1 << 2;

absl::Status ParentError(const std::string& path, std::string_view what) {
  return MakeFailure(Failure::kImagesDir, absl::StatusCode::kFailedPrecondition,
                     absl::StrCat("previous images ", path, ": ", std::string(what),
                                  " (--prev-images-dir, relative to -D)"));
}

absl::StatusOr<std::pair<dev_t, ino_t>> IdentityOf(const std::string& path) {
  struct stat stat = {};
  if (::stat(path.c_str(), &stat) < 0) return ParentError(path, std::strerror(errno));
  if (!S_ISDIR(stat.st_mode)) return ParentError(path, "it is no directory");
  return std::pair(stat.st_dev, stat.st_ino);
}

// What procfs has for links may lead to where their text does not.
bool IsOnProcfs(const UniqueFd& fd) {
  struct statfs stat = {};
  return fstatfs(fd.get(), &stat) == 0 && stat.f_type == PROC_SUPER_MAGIC;
}

// Whether the kernel, on its way along a path and all links there, comes by this entry of that
// directory. What cannot be followed leads nowhere.
bool LeadsThrough(const std::string& path, std::pair<dev_t, ino_t> directory,
                  std::string_view entry) {
  constexpr int kMostSteps = 10'000;  // a circle of links has no end
  constexpr int kHow = O_PATH | O_CLOEXEC;
  UniqueFd at(open(".", kHow));
  std::string rest = path;
  for (int step = 0; step < kMostSteps && at && !rest.empty(); ++step) {
    if (rest.starts_with('/')) at.Reset(open("/", kHow));
    rest.erase(0, rest.find_first_not_of('/'));
    const std::string name = rest.substr(0, rest.find('/'));
    rest.erase(0, name.size());
    // Or what is left would be taken for a path from the root.
    rest.erase(0, rest.find_first_not_of('/'));
    struct stat stat = {};
    if (name == entry && fstat(at.get(), &stat) == 0 &&
        std::pair(stat.st_dev, stat.st_ino) == directory) {
      return true;
    }
    if (IsOnProcfs(at)) {
      at.Reset(openat(at.get(), name.c_str(), kHow));
      continue;
    }
    std::array<char, PATH_MAX> target;
    const ssize_t length = readlinkat(at.get(), name.c_str(), target.data(), target.size());
    if (length < 0) {
      at.Reset(openat(at.get(), name.c_str(), kHow | O_NOFOLLOW));
    } else {
      rest = absl::StrCat(std::string(target.data(), static_cast<size_t>(length)), "/", rest);
    }
  }
  return false;
}

std::string Within(const std::string& directory, const std::string& path) {
  return path.starts_with('/') ? path : absl::StrCat(directory, "/", path);
}

// Flags since criu 1.8, the old field before.
uint32_t FlagsOf(const image::pagemap_entry& entry) {
  if (entry.has_flags()) return entry.flags();
  return entry.in_parent() ? kParentFlag : kPresentFlag;
}

absl::Status BadPagemap(const std::string& name, const std::string& what) {
  return MakeFailure(Failure::kBadImage, absl::StatusCode::kDataLoss,
                     absl::StrCat(name, ": ", what));
}

}  // namespace

absl::StatusOr<SavedPagemap> ReadPagemap(const std::string& name, std::string_view bytes) {
  ASSIGN_OR_RETURN(ImageReader reader, ImageReader::Create(name, bytes));
  if (reader.type().kind != ImageKind::kPagemap &&
      reader.type().kind != ImageKind::kSharedPagemap) {
    return BadPagemap(name, "this is no pagemap");
  }
  SavedPagemap pagemap;
  ASSIGN_OR_RETURN(const ImageReader::Entry head, reader.Next());
  if (head.message == nullptr) return BadPagemap(name, "a pagemap without a head");
  pagemap.pages_id = static_cast<const image::pagemap_head&>(*head.message).pages_id();
  uint64_t offset = 0;
  uint64_t end = 0;
  for (;;) {
    ASSIGN_OR_RETURN(const ImageReader::Entry next, reader.Next());
    if (next.message == nullptr) return pagemap;
    const auto& entry = static_cast<const image::pagemap_entry&>(*next.message);
    const uint64_t pages = entry.has_nr_pages() ? entry.nr_pages() : entry.compat_nr_pages();
    constexpr uint64_t kMostPages = ~uint64_t{0} / kImagePageSize;
    if (entry.vaddr() % kImagePageSize != 0 || entry.vaddr() < end ||
        pages > kMostPages - entry.vaddr() / kImagePageSize) {
      return BadPagemap(
          name, absl::StrCat("the run at 0x", absl::Hex(entry.vaddr()), " does not ascend"));
    }
    end = entry.vaddr() + pages * kImagePageSize;
    const uint32_t flags = FlagsOf(entry);
    const bool present = (flags & kPresentFlag) != 0;
    const bool in_parent = !present && (flags & kParentFlag) != 0;
    if (!present && !in_parent) continue;
    pagemap.runs.push_back({RemoteAddress(entry.vaddr()), pages, in_parent, present ? offset : 0});
    if (present) offset += pages * kImagePageSize;
  }
}

absl::StatusOr<std::vector<std::string>> ParentDirectories(const std::string& images_dir) {
  std::vector<std::string> parents;
  std::set<std::pair<dev_t, ino_t>> seen;
  std::string at = images_dir;
  for (;;) {
    ASSIGN_OR_RETURN(const auto identity, IdentityOf(at));
    if (!seen.insert(identity).second) return ParentError(images_dir, "it builds upon itself");
    at = Within(at, kParentLink);
    struct stat link = {};
    if (lstat(at.c_str(), &link) < 0) {
      if (errno == ENOENT) return parents;
      return ParentError(at, std::strerror(errno));
    }
    parents.push_back(at);
  }
}

namespace {

// The directory that is replaced with the images of `images_dir`, and those in it that go with it.
std::set<std::pair<dev_t, ino_t>> ReplacedDirectories(const std::string& images_dir) {
  std::set<std::pair<dev_t, ino_t>> replaced;
  UniqueFd at(open(images_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  while (at) {
    at.Reset(openat(at.get(), kParentLink, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    struct stat stat = {};
    // A mount may lead in a circle.
    if (!at || fstat(at.get(), &stat) < 0 || !replaced.emplace(stat.st_dev, stat.st_ino).second) {
      break;
    }
  }
  return replaced;
}

}  // namespace

absl::StatusOr<ParentImages> ParentImages::OpenPages(const std::string& images_dir,
                                                     const std::string& path) {
  const std::string directory = Within(images_dir, path);
  ASSIGN_OR_RETURN(const auto own, IdentityOf(images_dir));
  std::vector<UniqueFd> locks;
  locks.emplace_back(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!locks.back()) return ParentError(path, std::strerror(errno));
  ASSIGN_OR_RETURN(std::vector<std::string> chain, ParentDirectories(directory));
  const std::string furthest = chain.empty() ? directory : chain.back();
  chain.insert(chain.begin(), directory);
  const auto replaced = ReplacedDirectories(images_dir);
  bool is_replaced = LeadsThrough(furthest, own, kParentLink);
  for (const std::string& each : chain) {
    ASSIGN_OR_RETURN(const auto identity, IdentityOf(each));
    if (identity == own) {
      return ParentError(path,
                         "the new images would overwrite what they build upon; choose another -D");
    }
    is_replaced = is_replaced || replaced.contains(identity);
  }
  if (is_replaced) {
    return ParentError(path, absl::StrCat("the way to them leads through ", kParentLink,
                                          " in the images directory, which the new images would "
                                          "replace; move them, or choose another -D"));
  }
  for (const std::string& each : chain) {
    if (each != directory)
      locks.emplace_back(open(each.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!locks.back()) return ParentError(path, std::strerror(errno));
    // Where a file system has no locks, there are none.
    if (flock(locks.back().get(), LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
      return ParentError(path, each == directory
                                   ? "another dump is being written there"
                                   : "what they build upon is being written, or freed");
    }
  }
  return ParentImages(path, directory, std::move(locks));
}

absl::Status ParentImages::KeepAlone() const {
  for (const UniqueFd& lock : locks_) {
    if (flock(lock.get(), LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
      return ParentError(path_, "another dump reads them, or is being written there");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<ParentImages> ParentImages::Open(const std::string& images_dir,
                                                const std::string& path) {
  ASSIGN_OR_RETURN(ParentImages parent, OpenPages(images_dir, path));
  const std::string name = Within(parent.directory_, ImageName(ImageKind::kInventory));
  const absl::StatusOr<std::string> bytes = ReadFoundImage(name);
  if (absl::IsDataLoss(bytes.status())) return bytes.status();
  if (!bytes.ok()) return ParentError(path, "there is no dump and no pre-dump in it");
  ASSIGN_OR_RETURN(ImageReader reader, ImageReader::Create(name, *bytes));
  ASSIGN_OR_RETURN(const ImageReader::Entry entry, reader.Next());
  if (entry.message == nullptr || reader.type().kind != ImageKind::kInventory) {
    return BadPagemap(name, "this is no inventory");
  }
  parent.run_id_ = static_cast<const image::inventory_entry&>(*entry.message).dump_criu_run_id();
  return parent;
}

absl::StatusOr<std::optional<StandingPages>> ParentImages::Pages(ImageKind kind,
                                                                 uint32_t id) const {
  return StandingPagesOf(directory_, ImageName(kind, id));
}

}  // namespace dumpctl
