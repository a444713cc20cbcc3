#include "dump/image/unfinished_mark.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dump/image/directory_entries.h"
#include "dump/image/image_table.h"
#include "dumpctl/whole_io.h"

namespace dumpctl {
namespace {

// The mark is a row of these, the first of which is kHead: no inventory begins so.
struct Birth {
  uint64_t inode = 0;
  int64_t seconds = 0;
  uint64_t nanoseconds = 0;

  friend auto operator<=>(const Birth&, const Birth&) = default;
};

constexpr Birth kHead = {.inode = 0x314b4d444e465550};  // "PUFNDMK1"

// More than any dump has images. A file of that name may be anybody's, and as large as it says.
constexpr off_t kMostBytes = 64 << 20;

struct Found {
  Birth birth;
  uint32_t owner = 0;
};

// Of a regular file; `name` may be empty, for `at` itself.
std::optional<Found> Look(BorrowedFd at, const char* name) {
  struct statx there = {};
  constexpr unsigned kWanted = STATX_TYPE | STATX_UID | STATX_INO | STATX_BTIME;
  if (statx(at.get(), name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, kWanted, &there) < 0 ||
      (there.stx_mask & kWanted) != kWanted || !S_ISREG(there.stx_mode)) {
    return std::nullopt;
  }
  return Found{{there.stx_ino, there.stx_btime.tv_sec, there.stx_btime.tv_nsec}, there.stx_uid};
}

// What is not whole in the end is not read.
std::vector<Birth> Read(BorrowedFd mark) {
  struct stat stat = {};
  if (fstat(mark.get(), &stat) < 0 || stat.st_size > kMostBytes) return {};
  std::vector<Birth> births(static_cast<size_t>(stat.st_size) / sizeof(Birth));
  const ssize_t got = ReadAll(mark, std::as_writable_bytes(std::span(births)));
  births.resize(got < 0 ? 0 : static_cast<size_t>(got) / sizeof(Birth));
  if (births.empty() || births.front() != kHead) return {};
  std::sort(births.begin(), births.end());
  return births;
}

}  // namespace

std::pair<UnfinishedMark, int> UnfinishedMark::Create(BorrowedFd directory) {
  UniqueFd file(
      openat(directory.get(), kName, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  const int error = file ? WriteAll(BorrowedFd(file), std::as_bytes(std::span(&kHead, 1))) : errno;
  if (file && error != 0) unlinkat(directory.get(), kName, 0);
  return {UnfinishedMark(std::move(file)), error};
}

void UnfinishedMark::Add(BorrowedFd file) const {
  const std::optional<Found> found = Look(file, "");
  if (found) (void)WriteAll(BorrowedFd(file_), std::as_bytes(std::span(&found->birth, 1)));
}

int UnfinishedMark::Become(std::string_view inventory, bool sync) const {
  // Written over, and cut off behind: of a file that was once empty ext4 begins to write the blocks
  // when it is closed (auto_da_alloc).
  const int error = WriteAllAt(BorrowedFd(file_), inventory, 0);
  if (error != 0) return error;
  if (ftruncate(file_.get(), static_cast<off_t>(inventory.size())) < 0) return errno;
  return sync && fsync(file_.get()) < 0 ? errno : 0;
}

void UnfinishedMark::CleanUp(BorrowedFd directory) {
  const UniqueFd file(
      openat(directory.get(), kName, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) return;
  const std::string inventory = ImageName(ImageKind::kInventory);
  const std::optional<Found> mark = Look(BorrowedFd(file), "");
  const auto names = NamesIn(directory);
  if (mark && names.ok() &&
      faccessat(directory.get(), inventory.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
      errno == ENOENT) {
    const std::vector<Birth> births = Read(BorrowedFd(file));
    for (const std::string& name : *names) {
      if (!KindOfImageName(name)) continue;
      const std::optional<Found> found = Look(directory, name.c_str());
      // Whoever can make a mark can have nobody's files removed by it but his own.
      if (found && found->owner == mark->owner &&
          std::binary_search(births.begin(), births.end(), found->birth)) {
        (void)unlinkat(directory.get(), name.c_str(), 0);
      }
    }
  }
  (void)unlinkat(directory.get(), kName, 0);
}

}  // namespace dumpctl
