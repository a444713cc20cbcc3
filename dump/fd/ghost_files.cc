#include "dump/fd/ghost_files.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dump/fd/build_id.h"
#include "dump/fd/file_name.h"
#include "dump/image/image_writer.h"
#include "dumpctl/status_macros.h"
#include "proto/files.pb.h"

namespace dumpctl {
namespace {

constexpr size_t kPiece = 1 << 20;
// What is larger is told as chunks, even where it has no holes. Either way is restored.
constexpr off_t kMostWhole = 8192;

// As the kernel numbers devices for itself, and images do.
uint32_t InnerDevice(dev_t device) { return major(device) << 20 | minor(device); }

void Fill(const timespec& from, image::timeval* to) {
  to->set_tv_sec(static_cast<uint64_t>(from.tv_sec));
  to->set_tv_usec(static_cast<uint64_t>(from.tv_nsec / 1000));
}

image::ghost_file_entry EntryOf(const struct stat& stat) {
  image::ghost_file_entry entry;
  entry.set_uid(stat.st_uid);
  entry.set_gid(stat.st_gid);
  entry.set_mode(stat.st_mode);
  entry.set_dev(InnerDevice(stat.st_dev));
  entry.set_ino(stat.st_ino);
  // As mknod(2) takes it.
  if (S_ISCHR(stat.st_mode) || S_ISBLK(stat.st_mode)) {
    entry.set_rdev(static_cast<uint32_t>(stat.st_rdev));
  }
  Fill(stat.st_atim, entry.mutable_atim());
  Fill(stat.st_mtim, entry.mutable_mtim());
  return entry;
}

struct Extent {
  off_t start = 0;
  off_t end = 0;
};

// A part of an image: what is framed, and what of the file follows it.
struct Part {
  std::string framed;
  Extent data;
};

// What is no hole, ascending.
absl::StatusOr<std::vector<Extent>> FindData(BorrowedFd file, off_t size) {
  std::vector<Extent> found;
  for (off_t at = 0; at < size;) {
    const off_t start = lseek(file.get(), at, SEEK_DATA);
    if (start < 0 && errno == ENXIO) break;  // holes are all that is left
    if (start < 0) return absl::ErrnoToStatus(errno, "SEEK_DATA in a deleted file");
    const off_t end = lseek(file.get(), start, SEEK_HOLE);
    if (end < 0) return absl::ErrnoToStatus(errno, "SEEK_HOLE in a deleted file");
    found.push_back({start, std::min(end, size)});
    at = end;
  }
  return found;
}

}  // namespace

absl::StatusOr<GhostFiles> GhostFiles::Create(ImageSink& images,
                                              const std::function<absl::Status()>& may_go_on) {
  ASSIGN_OR_RETURN(ProcDir self, ProcDir::OpenOwn());
  return GhostFiles(std::move(self), images, may_go_on);
}

absl::Status GhostFiles::Save(BorrowedFd file) {
  struct stat stat = {};
  if (fstat(file.get(), &stat) < 0) return absl::ErrnoToStatus(errno, "fstat of a deleted file");
  const auto number = static_cast<uint32_t>(table_.size() + 1);
  const auto [ghost, is_new] =
      table_.try_emplace({stat.st_dev, stat.st_ino}, Ghost{.number = number});
  if (!is_new) return absl::OkStatus();
  ImageWriter image(ImageKind::kGhostFile, number);
  if (S_ISREG(stat.st_mode)) {
    ghost->second.size = static_cast<uint64_t>(stat.st_size);
    ASSIGN_OR_RETURN(const UniqueFd from, OpenToRead(file));
    ghost->second.build_id = ReadBuildId(from.get());
    return SaveRegular(BorrowedFd(from), stat, std::move(image));
  }
  image::ghost_file_entry entry = EntryOf(stat);
  if (S_ISLNK(stat.st_mode)) {
    std::string target(PATH_MAX, '\0');
    const ssize_t size = readlinkat(file.get(), "", target.data(), target.size());
    if (size < 0) return absl::ErrnoToStatus(errno, "readlink of a deleted symbolic link");
    entry.set_symlnk_target(target.substr(0, static_cast<size_t>(size)));
  }
  RETURN_IF_ERROR(image.Add(entry));
  return images_.Write(image);
}

absl::Status GhostFiles::SaveRegular(BorrowedFd from, const struct stat& stat, ImageWriter image) {
  std::vector<Part> parts;
  image::ghost_file_entry entry = EntryOf(stat);
  const bool has_holes = DataBytes(stat) < static_cast<uint64_t>(stat.st_size);
  if (!has_holes && stat.st_size <= kMostWhole) {
    RETURN_IF_ERROR(image.Add(entry));
    parts.push_back({image.TakeBytes(), {0, stat.st_size}});
  } else {
    entry.set_chunks(true);
    entry.set_size(static_cast<uint64_t>(stat.st_size));
    RETURN_IF_ERROR(image.Add(entry));
    ASSIGN_OR_RETURN(const std::vector<Extent> data, FindData(from, stat.st_size));
    for (const Extent& extent : data) {
      image::ghost_chunk_entry chunk;
      chunk.set_off(static_cast<uint64_t>(extent.start));
      chunk.set_len(static_cast<uint64_t>(extent.end - extent.start));
      RETURN_IF_ERROR(image.Add(chunk));
      parts.push_back({image.TakeBytes(), extent});
    }
    if (parts.empty()) parts.push_back({image.TakeBytes(), {}});
  }
  uint64_t size = 0;
  for (const Part& part : parts) {
    size += part.framed.size() + static_cast<uint64_t>(part.data.end - part.data.start);
  }
  ASSIGN_OR_RETURN(const auto to, images_.CreateFile(image.name(), size));
  for (const Part& part : parts) {
    RETURN_IF_ERROR(to->Append(part.framed));
    RETURN_IF_ERROR(Copy(from, part.data.start, part.data.end, *to));
  }
  return absl::OkStatus();
}

// Whoever looks at the file later shall not see that it was read.
absl::StatusOr<UniqueFd> GhostFiles::OpenToRead(BorrowedFd file) const {
  const std::string name = absl::StrCat("fd/", file.get());
  constexpr int kFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
  absl::StatusOr<UniqueFd> opened = self_.Open(name, kFlags | O_NOATIME);
  // The owner's right, or CAP_FOWNER's.
  if (absl::IsPermissionDenied(opened.status())) return self_.Open(name, kFlags);
  return opened;
}

absl::Status GhostFiles::Copy(BorrowedFd from, off_t offset, off_t end, ImageFile& image) {
  std::string piece;
  while (offset < end) {
    if (may_go_on_) RETURN_IF_ERROR(may_go_on_());
    piece.resize(std::min(kPiece, static_cast<size_t>(end - offset)));
    const ssize_t got = pread(from.get(), piece.data(), piece.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, "reading a deleted file");
    if (got == 0) return absl::DataLossError("a deleted file shrank while it was saved");
    piece.resize(static_cast<size_t>(got));
    RETURN_IF_ERROR(image.Append(piece));
    offset += got;
    bytes_ += static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
