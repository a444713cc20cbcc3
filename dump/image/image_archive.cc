#include "dump/image/image_archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dump/image/image_directory.h"
#include "dump/image/page_sink.h"
#include "dump/image/tar_header.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

constexpr char kStandardOutput[] = "-";

bool IsToBeReplaced(const std::string& path) {
  struct stat there = {};
  return stat(path.c_str(), &there) < 0 || S_ISREG(there.st_mode);
}

std::string ParentOf(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

// What a file is called for the moment between its own name and none: two dumps may write at once.
std::string TemporaryName(const std::string& path) {
  return absl::StrCat(ParentOf(path), "/.", std::filesystem::path(path).filename().string(), ".",
                      getpid(), ".new");
}

// Without a name, where the file system can: nothing is left of it then when we are killed.
// `temporary` becomes its name, where it has one.
UniqueFd CreateUnnamed(const std::string& path, std::string& temporary) {
  UniqueFd file(open(ParentOf(path).c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0644));
  if (file || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return file;
  temporary = TemporaryName(path);
  return UniqueFd(
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
}

absl::Status Terminal() {
  return MakeFailure(Failure::kUsage, absl::StatusCode::kInvalidArgument,
                     "standard output is a terminal, which takes no images; write into a pipe or a "
                     "file (--output FILE)");
}

absl::Status CannotOpen(int error, const std::string& path) {
  return MakeFailure(Failure::kImagesDir, absl::ErrnoToStatusCode(error),
                     absl::StrCat(path, ": ", std::strerror(error),
                                  "; name a file that can be written (--output)"));
}

absl::Status NotAsLong(const std::string& name) {
  return absl::InternalError(absl::StrCat(name, " is not as long as was said"));
}

std::string InParent(const std::string& name) { return absl::StrCat(kParentLink, "/", name); }

}  // namespace

std::string ArchiveName(const std::string& path) {
  return path == kStandardOutput ? "standard output" : path;
}

// One that was announced with its size.
class ImageArchive::File final : public ImageFile {
 public:
  File(WriteBehind& writer, std::string name, uint64_t size)
      : writer_(writer), name_(std::move(name)), left_(size), padding_(TarPadding(size)) {}

  absl::Status Append(std::string_view bytes) override {
    if (bytes.size() > left_) return NotAsLong(name_);
    left_ -= bytes.size();
    RETURN_IF_ERROR(writer_.Put(std::string(bytes)));
    return left_ == 0 ? writer_.Put(std::exchange(padding_, std::string())) : absl::OkStatus();
  }

 private:
  WriteBehind& writer_;
  std::string name_;
  uint64_t left_;
  std::string padding_;
};

absl::StatusOr<std::unique_ptr<ImageArchive>> ImageArchive::Open(
    const std::string& path, absl::Duration patience, std::function<absl::Status()> may_go_on) {
  UniqueFd file;
  std::string temporary;
  bool replaces = false;
  if (path == kStandardOutput) {
    if (isatty(STDOUT_FILENO) != 0) return Terminal();
  } else {
    replaces = IsToBeReplaced(path);
    file = replaces ? CreateUnnamed(path, temporary)
                    : UniqueFd(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
    if (!file) return CannotOpen(errno, path);
  }
  const BorrowedFd to(file ? file.get() : STDOUT_FILENO);
  std::unique_ptr<ImageArchive> archive(
      new ImageArchive(path, std::move(temporary), std::move(file), replaces));
  ASSIGN_OR_RETURN(Outlet outlet,
                   Outlet::Open(to, absl::StrCat("the dump to ", ArchiveName(path)), patience));
  ASSIGN_OR_RETURN(archive->writer_, WriteBehind::Start(std::move(outlet), std::move(may_go_on)));
  return archive;
}

ImageArchive::~ImageArchive() {
  writer_.reset();
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

absl::Status ImageArchive::PutWhole(const std::string& name, const std::string& bytes) {
  return writer_->Put(
      absl::StrCat(TarHeader(name, bytes.size(), absl::Now()), bytes, TarPadding(bytes.size())));
}

absl::Status ImageArchive::Write(const ImageWriter& image) {
  if (image.name() == ImageName(ImageKind::kInventory)) {
    inventory_ = image.bytes();
    return absl::OkStatus();
  }
  return PutWhole(image.name(), image.bytes());
}

absl::StatusOr<std::unique_ptr<ImageFile>> ImageArchive::CreateFile(const std::string& name,
                                                                    uint64_t size) {
  RETURN_IF_ERROR(writer_->Put(TarHeader(name, size, absl::Now())));
  return std::make_unique<File>(*writer_, name, size);
}

absl::StatusOr<PageSink> ImageArchive::CreatePages(uint32_t pages_id) {
  return PageSink::ToStream(*this, pages_id);
}

absl::StatusOr<PageSink> ImageArchive::CreatePagesInParent(uint32_t pages_id) {
  return PageSink::ToStream(parent_pages_, pages_id);
}

absl::Status ImageArchive::WriteInParent(const ImageWriter& image,
                                         std::span<const std::string> also) {
  RETURN_IF_ERROR(PutWhole(InParent(image.name()), image.bytes()));
  for (const std::string& name : also) RETURN_IF_ERROR(PutWhole(InParent(name), image.bytes()));
  return absl::OkStatus();
}

absl::Status ImageArchive::BeginPagesFile(const std::string& name, uint64_t bytes) {
  static_assert(kImagePageSize % kTarRecord == 0);  // no padding behind them
  return writer_->Put(TarHeader(name, bytes, absl::Now()));
}

absl::Status ImageArchive::BeginPages(uint32_t pages_id, const PagesOwner& /*owner*/,
                                      uint64_t bytes) {
  return BeginPagesFile(ImageName(ImageKind::kPages, pages_id), bytes);
}

absl::Status ImageArchive::ParentPages::BeginPages(uint32_t pages_id, const PagesOwner& /*owner*/,
                                                   uint64_t bytes) {
  return archive_.BeginPagesFile(InParent(ImageName(ImageKind::kPages, pages_id)), bytes);
}

absl::StatusOr<Block> ImageArchive::TakeBlock() { return writer_->Take(); }

absl::Status ImageArchive::Put(std::span<const PageRun> /*runs*/, Block block) {
  return writer_->Put(std::move(block));
}

absl::Status ImageArchive::Commit(bool sync) {
  if (inventory_.empty()) {
    return absl::InternalError("a dump without an inventory cannot be committed");
  }
  RETURN_IF_ERROR(PutWhole(ImageName(ImageKind::kInventory), inventory_));
  RETURN_IF_ERROR(writer_->Put(TarEnd()));
  RETURN_IF_ERROR(writer_->Finish());
  return FinishFile(sync);
}

absl::Status ImageArchive::FinishFile(bool sync) {
  const int fd = file_ ? file_.get() : STDOUT_FILENO;
  // What is no file answers that it cannot.
  if (sync && fsync(fd) < 0 && errno != EINVAL && errno != EROFS) {
    return ImageWriteError(errno, ArchiveName(path_));
  }
  if (!replaces_) return absl::OkStatus();
  if (temporary_.empty()) {
    const std::string name = TemporaryName(path_);
    unlink(name.c_str());
    if (linkat(AT_FDCWD, absl::StrCat("/dev/fd/", fd).c_str(), AT_FDCWD, name.c_str(),
               AT_SYMLINK_FOLLOW) < 0) {
      return ImageWriteError(errno, path_);
    }
    temporary_ = name;
  }
  if (rename(temporary_.c_str(), path_.c_str()) < 0) return ImageWriteError(errno, path_);
  temporary_.clear();
  if (!sync) return absl::OkStatus();
  const UniqueFd directory(open(ParentOf(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || fsync(directory.get()) < 0) return ImageWriteError(errno, path_);
  return absl::OkStatus();
}

}  // namespace dumpctl
