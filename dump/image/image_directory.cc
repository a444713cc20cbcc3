#include "dump/image/image_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "dump/image/directory_entries.h"
#include "dump/image/output_file.h"
#include "dump/image/page_sink.h"
#include "dump/image/set_aside.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::Status SyncIf(bool wanted, const UniqueFd& directory, const std::string& path) {
  if (wanted && fsync(directory.get()) < 0) return ImageWriteError(errno, path);
  return absl::OkStatus();
}

bool IsOfPages(const std::string& name) {
  const auto kind = KindOfImageName(name);
  return kind == ImageKind::kPages || kind == ImageKind::kPagemap ||
         kind == ImageKind::kSharedPagemap;
}

absl::StatusOr<UniqueFd> CreateAmong(BorrowedFd parent, const std::string& name) {
  UniqueFd file(
      openat(parent.get(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file) return ImageWriteError(errno, absl::StrCat(kParentLink, "/", name));
  return file;
}

class FileInDirectory final : public ImageFile {
 public:
  FileInDirectory(UniqueFd file, std::string name)
      : file_(std::move(file)), name_(std::move(name)) {}

  absl::Status Append(std::string_view bytes) override {
    return WriteImageBytes(BorrowedFd(file_), bytes, name_);
  }

 private:
  UniqueFd file_;
  std::string name_;
};

}  // namespace

struct ImageDirectory::Opened {
  ImageDirectory directory;
  std::vector<std::string> there;  // the names in it
};

absl::StatusOr<ImageDirectory::Opened> ImageDirectory::OpenLocked(const std::string& path) {
  // Not through a link: whoever may write where it stands could lead our images elsewhere.
  UniqueFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!directory) return DirectoryError(errno, kImagesDirectory, path);
  // The kernel drops the lock with its holder, so that a killed dump is no obstacle to the next.
  if (flock(directory.get(), LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
    return MakeFailure(
        Failure::kImagesDir, absl::StatusCode::kUnavailable,
        absl::StrCat("images directory ", path,
                     ": another dump is being written there; wait for it or choose another -D"));
  }
  absl::StatusOr<std::vector<std::string>> there = Staging::CleanUp(BorrowedFd(directory));
  if (!there.ok()) {
    return MakeFailure(Failure::kImagesDir, there.status().code(),
                       absl::StrCat("images directory ", path, ": ", there.status().message(),
                                    "; choose another -D"));
  }
  return Opened{ImageDirectory(path, std::move(directory)), *std::move(there)};
}

absl::StatusOr<ImageDirectory> ImageDirectory::Open(const std::string& path) {
  ASSIGN_OR_RETURN(Opened opened, OpenLocked(path));
  ImageDirectory& directory = opened.directory;
  ASSIGN_OR_RETURN(directory.staging_, Staging::Beside(BorrowedFd(directory.directory_), path));
  return std::move(directory);
}

absl::StatusOr<ImageDirectory> ImageDirectory::OpenInPlace(const std::string& path) {
  ASSIGN_OR_RETURN(Opened opened, OpenLocked(path));
  ImageDirectory& directory = opened.directory;
  const BorrowedFd fd(directory.directory_);
  const auto is_image = [](const std::string& name) {
    return KindOfImageName(name).has_value() || name == kParentLink;
  };
  const bool has_none = std::none_of(opened.there.begin(), opened.there.end(), is_image);
  ASSIGN_OR_RETURN(directory.staging_,
                   has_none ? Staging::InPlace(fd, path) : Staging::Beside(fd, path));
  return std::move(directory);
}

ImageDirectory::~ImageDirectory() {
  if (staging_ != nullptr && staging_->in_place()) TakeBack();
}

// Half of a dump is of no use. Removes what of this one stands where images are to stand: what else
// has such a name is somebody else's.
void ImageDirectory::TakeBack() {
  for (const std::string& name : names_) {
    if (staging_->in_place() && staging_->NameOf(name) == name) moved_.push_back(name);
  }
  const std::string inventory = ImageName(ImageKind::kInventory);
  if (std::find(moved_.begin(), moved_.end(), inventory) != moved_.end()) {
    unlinkat(directory_.get(), inventory.c_str(), 0);  // before what it stands for
  }
  for (const std::string& name : moved_) {
    if (unlinkat(directory_.get(), name.c_str(), 0) < 0 && name == kParentLink) {
      RemoveDirectory(BorrowedFd(directory_), kParentLink);
    }
  }
  names_.clear();
  moved_.clear();
}

void ImageDirectory::PutBackEarlier() {
  TakeBack();
  if (staging_->in_place()) return;
  // What cannot be put back now the next dump may.
  if (!SetAside::PutBack(BorrowedFd(directory_), staging()).ok()) staging_->Leave();
}

absl::StatusOr<UniqueFd> ImageDirectory::Create(const std::string& name) {
  ASSIGN_OR_RETURN(UniqueFd file, staging_->Create(name));
  names_.push_back(name);
  return file;
}

absl::Status ImageDirectory::Write(const ImageWriter& image) {
  if (staging_->Keep(image)) {
    names_.push_back(image.name());
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const UniqueFd file, Create(image.name()));
  return WriteImageBytes(BorrowedFd(file), image.bytes(), image.name());
}

absl::StatusOr<std::unique_ptr<ImageFile>> ImageDirectory::CreateFile(const std::string& name,
                                                                      uint64_t /*size*/) {
  ASSIGN_OR_RETURN(UniqueFd file, Create(name));
  return std::make_unique<FileInDirectory>(std::move(file), name);
}

absl::StatusOr<PageSink> ImageDirectory::CreatePages(uint32_t pages_id) {
  ASSIGN_OR_RETURN(UniqueFd file, Create(ImageName(ImageKind::kPages, pages_id)));
  return PageSink::ToFile(std::move(file), pages_id);
}

absl::Status ImageDirectory::LeavePages() {
  ASSIGN_OR_RETURN(const std::vector<std::string> there, NamesIn(BorrowedFd(directory_)));
  for (const std::string& name : there) {
    if (!IsOfPages(name)) continue;
    return MakeFailure(
        Failure::kImagesDir, absl::StatusCode::kFailedPrecondition,
        absl::StrCat("images directory ", path_, " has ", name,
                     " of an earlier dump, which would be taken for what the page server keeps; "
                     "remove its images or choose another -D"));
  }
  leaves_pages_ = true;
  return absl::OkStatus();
}

absl::Status ImageDirectory::ExpectNoImages() {
  ASSIGN_OR_RETURN(const std::vector<std::string> there, NamesIn(BorrowedFd(directory_)));
  for (const std::string& name : there) {
    if (!KindOfImageName(name).has_value()) continue;
    return MakeFailure(Failure::kImagesDir, absl::StatusCode::kFailedPrecondition,
                       absl::StrCat("images directory ", path_, " has ", name,
                                    " of another dump; remove its images or choose another -D"));
  }
  return absl::OkStatus();
}

absl::Status ImageDirectory::AddParentLevel() {
  const BorrowedFd above = parents_.empty() ? staging() : BorrowedFd(parents_.back());
  // As others may read what is not in it.
  constexpr mode_t kMode = 0755;
  if (mkdirat(above.get(), kParentLink, kMode) < 0) return ImageWriteError(errno, kParentLink);
  if (parents_.empty()) names_.emplace_back(kParentLink);
  UniqueFd made(openat(above.get(), kParentLink, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!made) return ImageWriteError(errno, kParentLink);
  parents_.push_back(std::move(made));
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> ImageDirectory::CreateInParent(const std::string& name) {
  return CreateInAncestor(0, name);
}

absl::StatusOr<UniqueFd> ImageDirectory::CreateInAncestor(size_t levels, const std::string& name) {
  while (parents_.size() <= levels) RETURN_IF_ERROR(AddParentLevel());
  return CreateAmong(BorrowedFd(parents_[levels]), name);
}

absl::Status ImageDirectory::RepeatInAncestor(size_t levels, const std::string& name,
                                              const std::string& as) {
  const int directory = parents_[levels].get();
  if (linkat(directory, name.c_str(), directory, as.c_str(), 0) == 0) return absl::OkStatus();
  // A file system without links, or one name too many.
  const UniqueFd from(openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!from) return ImageWriteError(errno, name);
  ASSIGN_OR_RETURN(const UniqueFd to, CreateInAncestor(levels, as));
  constexpr size_t kPiece = 1 << 20;
  for (;;) {
    const ssize_t n = sendfile(to.get(), from.get(), nullptr, kPiece);
    if (n == 0) return absl::OkStatus();
    if (n < 0 && errno != EINTR) return ImageWriteError(errno, as);
  }
}

absl::Status ImageDirectory::DeepenParent() {
  RETURN_IF_ERROR(AddParentLevel());
  // The deepest first, so that at any moment there are images alone, and each has its place.
  for (size_t level = parents_.size() - 1; level > 0; --level) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names,
                     NamesIn(BorrowedFd(parents_[level - 1])));
    for (const std::string& name : names) {
      if (name == kParentLink) continue;
      if (renameat(parents_[level - 1].get(), name.c_str(), parents_[level].get(), name.c_str()) <
          0) {
        return ImageWriteError(errno, absl::StrCat(kParentLink, "/", name));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status ImageDirectory::WriteInAncestor(size_t levels, const ImageWriter& image) {
  if (levels >= parents_.size()) return absl::InternalError("images further up than there are any");
  ASSIGN_OR_RETURN(const UniqueFd file, CreateInAncestor(levels, image.name()));
  return WriteImageBytes(BorrowedFd(file), image.bytes(), image.name());
}

absl::StatusOr<PageSink> ImageSink::CreatePagesInParent(uint32_t /*pages_id*/) {
  return absl::InternalError("parent images where there can be none");
}

absl::Status ImageSink::WriteInParent(const ImageWriter& /*image*/,
                                      std::span<const std::string> /*also*/) {
  return absl::InternalError("parent images where there can be none");
}

absl::StatusOr<PageSink> ImageDirectory::CreatePagesInParent(uint32_t pages_id) {
  ASSIGN_OR_RETURN(UniqueFd file, CreateInParent(ImageName(ImageKind::kPages, pages_id)));
  return PageSink::ToFile(std::move(file), pages_id);
}

absl::Status ImageDirectory::WriteInParent(const ImageWriter& image,
                                           std::span<const std::string> also) {
  ASSIGN_OR_RETURN(const UniqueFd file, CreateInParent(image.name()));
  RETURN_IF_ERROR(WriteImageBytes(BorrowedFd(file), image.bytes(), image.name()));
  for (const std::string& name : also) {
    RETURN_IF_ERROR(RepeatInAncestor(0, image.name(), name));
  }
  return absl::OkStatus();
}

absl::Status ImageDirectory::CommitPages(bool sync) {
  if (sync && syncfs(staging().get()) < 0) return ImageWriteError(errno, path_);
  SetAside earlier(BorrowedFd(directory_), staging());
  absl::Status moved = can_have_parent() ? earlier.Take(kParentLink) : absl::OkStatus();
  if (moved.ok()) moved = earlier.End(has_parent());
  if (moved.ok() && sync) moved = earlier.Sync();
  for (const std::string& name : names_) {
    if (moved.ok()) moved = MoveOut(name);
    if (!moved.ok()) break;
  }
  if (moved.ok()) moved = SyncIf(sync, directory_, path_);
  if (!moved.ok()) {
    PutBackEarlier();
    return moved;
  }
  SetAside::Drop(staging());
  staging_.reset();
  return absl::OkStatus();
}

absl::Status ImageDirectory::LinkParent(const std::string& path) {
  if (!can_have_parent()) {
    return MakeFailure(
        Failure::kImagesDir, absl::StatusCode::kFailedPrecondition,
        absl::StrCat("images directory ", path_, " has something else in ", kParentLink,
                     " than an earlier dump's parent images, where the link to the "
                     "previous images is to be; move it, or choose another -D"));
  }
  if (symlinkat(path.c_str(), staging().get(), kParentLink) < 0) {
    return ImageWriteError(errno, kParentLink);
  }
  names_.emplace_back(kParentLink);
  return absl::OkStatus();
}

bool ImageDirectory::can_have_parent() const {
  struct stat there = {};
  if (fstatat(directory_.get(), kParentLink, &there, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT;
  if (S_ISLNK(there.st_mode)) return true;
  const UniqueFd old(
      openat(directory_.get(), kParentLink, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  return old && HoldsParentImages(BorrowedFd(old));
}

bool ImageDirectory::has_parent() const {
  return std::find(names_.begin(), names_.end(), kParentLink) != names_.end();
}

absl::Status ImageDirectory::AdoptOthers() {
  ASSIGN_OR_RETURN(const std::vector<std::string> there, NamesIn(staging()));
  for (const std::string& name : there) {
    if (std::find(names_.begin(), names_.end(), name) == names_.end()) names_.push_back(name);
  }
  return absl::OkStatus();
}

bool CommitMark::Stands() const {
  struct stat there = {};
  return fstatat(directory.get(), inventory.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
         there.st_ino == inode;
}

absl::StatusOr<CommitMark> ImageDirectory::Mark() const {
  CommitMark mark{.inventory = ImageName(ImageKind::kInventory)};
  struct stat written = {};
  if (fstatat(staging().get(), staging_->NameOf(mark.inventory).c_str(), &written,
              AT_SYMLINK_NOFOLLOW) < 0) {
    return absl::ErrnoToStatus(errno, mark.inventory);
  }
  mark.inode = written.st_ino;
  mark.directory.Reset(fcntl(directory_.get(), F_DUPFD_CLOEXEC, 0));
  if (!mark.directory) return absl::ErrnoToStatus(errno, path_);
  return mark;
}

absl::StatusOr<std::vector<std::string>> ImageDirectory::OldNames() const {
  ASSIGN_OR_RETURN(std::vector<std::string> names, NamesIn(BorrowedFd(directory_)));
  std::erase_if(names, [this](const std::string& name) {
    if (name == kParentLink || (leaves_pages_ && IsOfPages(name))) return true;
    return !KindOfImageName(name) && std::find(names_.begin(), names_.end(), name) == names_.end();
  });
  for (const std::string& name : names) {
    struct stat there = {};
    if (fstatat(directory_.get(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(there.st_mode)) {
      return ReplaceError(EISDIR, name);
    }
  }
  // The parent images of the earlier dump, or the link to them; what else has that name is nobody's
  // dump, or another one.
  if (can_have_parent()) names.emplace_back(kParentLink);
  return names;
}

absl::Status ImageDirectory::MoveOut(const std::string& name) {
  if (renameat(staging().get(), staging_->NameOf(name).c_str(), directory_.get(), name.c_str()) <
      0) {
    return ImageWriteError(errno, name);
  }
  moved_.push_back(name);
  return absl::OkStatus();
}

absl::Status ImageDirectory::MoveOutInventory(bool sync) {
  RETURN_IF_ERROR(staging_->WillStand(sync));
  RETURN_IF_ERROR(SyncIf(sync, directory_, path_));
  RETURN_IF_ERROR(MoveOut(ImageName(ImageKind::kInventory)));
  return SyncIf(sync, directory_, path_);
}

absl::Status ImageDirectory::Replace(SetAside& earlier, bool sync) {
  if (staging_->in_place()) return MoveOutInventory(sync);
  const std::string inventory = ImageName(ImageKind::kInventory);
  ASSIGN_OR_RETURN(const std::vector<std::string> old_names, OldNames());
  // The old inventory goes first: from here on, and until the new one stands, there is no dump. If
  // this one is killed by then, the next puts the earlier one back (SetAside).
  // The directory is synced at each turn, since nothing else orders renames on every filesystem.
  if (!old_names.empty()) RETURN_IF_ERROR(earlier.Take(inventory));
  if (sync) RETURN_IF_ERROR(earlier.Sync());
  RETURN_IF_ERROR(SyncIf(sync, directory_, path_));
  for (const std::string& name : old_names) RETURN_IF_ERROR(earlier.Take(name));
  RETURN_IF_ERROR(earlier.End(has_parent()));
  if (sync) RETURN_IF_ERROR(earlier.Sync());
  RETURN_IF_ERROR(SyncIf(sync, directory_, path_));
  for (const std::string& name : names_) {
    if (name != inventory) RETURN_IF_ERROR(MoveOut(name));
  }
  return MoveOutInventory(sync);
}

absl::Status ImageDirectory::Commit(bool sync) {
  if (std::find(names_.begin(), names_.end(), ImageName(ImageKind::kInventory)) == names_.end()) {
    return absl::InternalError("a dump without an inventory cannot be committed");
  }
  if (sync && syncfs(staging().get()) < 0) return ImageWriteError(errno, path_);
  SetAside earlier(BorrowedFd(directory_), staging());
  absl::Status replaced = Replace(earlier, sync);
  if (!replaced.ok()) {
    PutBackEarlier();
    return replaced;
  }
  // From here on it is the reader's.
  if (!staging_->in_place()) SetAside::Drop(staging());
  staging_.reset();
  return absl::OkStatus();
}

}  // namespace dumpctl
