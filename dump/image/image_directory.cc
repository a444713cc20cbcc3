#include "dump/image/image_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "dump/image/page_sink.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

constexpr char kStaging[] = ".dumpctl-staging";
// Of images in place: no image's name, so that nobody takes it for one.
const std::string kStagedInventory = ".dumpctl-inventory";
// What restorers call it.
constexpr DirectoryRole kImagesDirectory = {"images directory", "-D"};

absl::Status DirectoryError(int error, const DirectoryRole& role, const std::string& path) {
  const std::string what = absl::StrCat(std::string(role.name), " ", path);
  const std::string option = absl::StrCat(" (", std::string(role.option), ")");
  // O_NOFOLLOW of a link with O_DIRECTORY says ENOTDIR.
  struct stat there = {};
  if (error == ENOTDIR && lstat(path.c_str(), &there) == 0 && S_ISLNK(there.st_mode)) {
    return MakeFailure(
        Failure::kImagesDir, absl::StatusCode::kFailedPrecondition,
        absl::StrCat(what, " is a symbolic link; name the directory it leads to", option));
  }
  std::string remedy;
  if (error == ENOENT) remedy = "; create it first (mkdir)";
  if (error == ENOTDIR) remedy = absl::StrCat("; name a directory", option);
  if (error == EACCES || error == EROFS) {
    remedy = absl::StrCat("; choose one that can be written", option);
  }
  return MakeFailure(Failure::kImagesDir, absl::ErrnoToStatusCode(error),
                     absl::StrCat(what, ": ", std::strerror(error), remedy));
}

absl::StatusOr<std::vector<std::string>> NamesIn(int directory) {
  // A descriptor of its own: reading moves the offset of the open directory.
  UniqueFd fd(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return absl::ErrnoToStatus(errno, "reading the images directory");
  std::unique_ptr<DIR, int (*)(DIR*)> dir(fdopendir(fd.get()), closedir);
  if (!dir) return absl::ErrnoToStatus(errno, "reading the images directory");
  (void)fd.Release();
  std::vector<std::string> names;
  while (const dirent* entry = readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

// All that is in it; as far as it can be removed. Never through a link: somebody may have put one
// there that leads to files not ours.
void Empty(int directory) {
  const auto names = NamesIn(directory);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (unlinkat(directory, name.c_str(), 0) == 0 || errno != EISDIR) continue;
    const UniqueFd inner(
        openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!inner) continue;
    Empty(inner.get());
    unlinkat(directory, name.c_str(), AT_REMOVEDIR);
  }
}

// Images alone: of an earlier dump.
bool HoldsImagesOnly(int directory) {
  const auto names = NamesIn(directory);
  return names.ok() && std::all_of(names->begin(), names->end(), [](const std::string& name) {
           return KindOfImageName(name).has_value();
         });
}

// Best effort: what cannot be removed now is removed by the next dump.
void RemoveDirectory(int directory, const char* name) {
  const UniqueFd inner(openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!inner) return;
  Empty(inner.get());
  unlinkat(directory, name, AT_REMOVEDIR);
}

// `what` is written: see ImageWriteError.
absl::Status WriteAll(BorrowedFd file, std::string_view bytes, const std::string& what) {
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const ssize_t written = write(file.get(), rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      return ImageWriteError(errno, absl::StrCat(what, " (", bytes.size(), " bytes)"));
    }
    rest.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status SyncIf(bool wanted, const UniqueFd& directory, const std::string& path) {
  if (wanted && fsync(directory.get()) < 0) return ImageWriteError(errno, path);
  return absl::OkStatus();
}

bool IsOfPages(const std::string& name) {
  const auto kind = KindOfImageName(name);
  return kind == ImageKind::kPages || kind == ImageKind::kPagemap ||
         kind == ImageKind::kSharedPagemap;
}

class FileInDirectory final : public ImageFile {
 public:
  FileInDirectory(UniqueFd file, std::string name)
      : file_(std::move(file)), name_(std::move(name)) {}

  absl::Status Append(std::string_view bytes) override {
    return WriteAll(BorrowedFd(file_), bytes, name_);
  }

 private:
  UniqueFd file_;
  std::string name_;
};

}  // namespace

absl::Status ImageWriteError(int error, std::string_view what) {
  std::string message = absl::StrCat("writing ", std::string(what), ": ", std::strerror(error));
  if (error == ENOSPC || error == EDQUOT) {
    message += "; free some space or choose another -D";
    return MakeFailure(Failure::kNoSpace, absl::StatusCode::kResourceExhausted, message);
  }
  // There is one for each process, and some more.
  if (error == EMFILE) {
    message += "; raise dumpctl's RLIMIT_NOFILE (ulimit -n)";
    return MakeFailure(Failure::kHost, absl::StatusCode::kResourceExhausted, message);
  }
  return MakeFailure(Failure::kImagesDir, absl::ErrnoToStatusCode(error), message);
}

absl::Status CheckWritable(const DirectoryRole& role, const std::string& path) {
  const UniqueFd dir(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir || faccessat(dir.get(), ".", W_OK | X_OK, AT_EACCESS) < 0) {
    return DirectoryError(errno, role, path);
  }
  return absl::OkStatus();
}

absl::Status WriteInto(const DirectoryRole& role, const std::string& directory,
                       const std::string& name, std::string_view bytes) {
  const UniqueFd dir(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return DirectoryError(errno, role, directory);
  const std::string temporary = absl::StrCat(".", name, ".new");
  const UniqueFd file(openat(dir.get(), temporary.c_str(),
                             O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file) return ImageWriteError(errno, name);
  absl::Status status = WriteAll(BorrowedFd(file), bytes, name);
  if (status.ok() && renameat(dir.get(), temporary.c_str(), dir.get(), name.c_str()) < 0) {
    status = ImageWriteError(errno, name);
  }
  if (!status.ok()) unlinkat(dir.get(), temporary.c_str(), 0);
  return status;
}

absl::Status WritePidfile(const std::string& path, pid_t pid) {
  const std::string what = absl::StrCat("pid file ", path);
  const UniqueFd file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file) return ImageWriteError(errno, what);
  return WriteAll(BorrowedFd(file), absl::StrCat(pid), what);
}

absl::StatusOr<ImageDirectory> ImageDirectory::OpenLocked(const std::string& path) {
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
  // Left by a killed one.
  RemoveDirectory(directory.get(), kStaging);
  (void)unlinkat(directory.get(), kStagedInventory.c_str(), 0);
  return ImageDirectory(path, std::move(directory));
}

absl::StatusOr<ImageDirectory> ImageDirectory::Open(const std::string& path) {
  ASSIGN_OR_RETURN(ImageDirectory directory, OpenLocked(path));
  RETURN_IF_ERROR(directory.CreateStaging());
  return directory;
}

absl::StatusOr<ImageDirectory> ImageDirectory::OpenInPlace(const std::string& path) {
  ASSIGN_OR_RETURN(ImageDirectory directory, OpenLocked(path));
  ASSIGN_OR_RETURN(const std::vector<std::string> there, NamesIn(directory.directory_.get()));
  directory.in_place_ = std::none_of(there.begin(), there.end(), [](const std::string& name) {
    return KindOfImageName(name).has_value() || name == kParentLink;
  });
  RETURN_IF_ERROR(directory.CreateStaging());
  return directory;
}

absl::Status ImageDirectory::CreateStaging() {
  if (in_place_) {
    if (faccessat(directory_.get(), ".", W_OK | X_OK, AT_EACCESS) < 0) {
      return DirectoryError(errno, kImagesDirectory, path_);
    }
    staging_.Reset(fcntl(directory_.get(), F_DUPFD_CLOEXEC, 0));
    return staging_ ? absl::OkStatus() : DirectoryError(errno, kImagesDirectory, path_);
  }
  if (mkdirat(directory_.get(), kStaging, 0700) < 0) {
    const int error = errno;
    if (error == ENOSPC || error == EDQUOT) return ImageWriteError(error, path_);
    return DirectoryError(error, kImagesDirectory, path_);
  }
  staging_.Reset(
      openat(directory_.get(), kStaging, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  return staging_ ? absl::OkStatus() : DirectoryError(errno, kImagesDirectory, path_);
}

const std::string& ImageDirectory::StagedName(const std::string& name) const {
  return in_place_ && name == ImageName(ImageKind::kInventory) ? kStagedInventory : name;
}

ImageDirectory::ImageDirectory(ImageDirectory&& other) noexcept
    : path_(std::move(other.path_)),
      directory_(std::move(other.directory_)),
      staging_(std::move(other.staging_)),
      in_place_(other.in_place_),
      parent_(std::move(other.parent_)),
      names_(std::move(other.names_)),
      moved_(std::move(other.moved_)),
      leaves_pages_(other.leaves_pages_) {}

ImageDirectory::~ImageDirectory() { RemoveStaging(); }

void ImageDirectory::RemoveStaging() {
  if (!staging_) return;
  if (in_place_) RemoveNames();
  parent_.Reset();
  staging_.Reset();
  if (!in_place_) RemoveDirectory(directory_.get(), kStaging);
}

// Of this dump; as far as they stand where images are to stand. What else has such a name is of an
// earlier one.
void ImageDirectory::RemoveNames() {
  const std::vector<std::string>& there = in_place_ ? names_ : moved_;
  for (const std::string& name : there) {
    if (unlinkat(directory_.get(), name.c_str(), 0) < 0 && name == kParentLink) {
      RemoveDirectory(directory_.get(), kParentLink);
    }
  }
  if (in_place_) (void)unlinkat(directory_.get(), kStagedInventory.c_str(), 0);
}

absl::StatusOr<UniqueFd> ImageDirectory::Create(const std::string& name) {
  // In place, what somebody else has just put there is not ours to write.
  const int how = in_place_ ? O_EXCL : O_TRUNC;
  UniqueFd file(openat(staging_.get(), StagedName(name).c_str(),
                       O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | how, 0644));
  if (!file) return ImageWriteError(errno, name);
  names_.push_back(name);
  return file;
}

absl::Status ImageDirectory::Write(const ImageWriter& image) {
  ASSIGN_OR_RETURN(const UniqueFd file, Create(image.name()));
  return WriteAll(BorrowedFd(file), image.bytes(), image.name());
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
  ASSIGN_OR_RETURN(const std::vector<std::string> there, NamesIn(directory_.get()));
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
  ASSIGN_OR_RETURN(const std::vector<std::string> there, NamesIn(directory_.get()));
  for (const std::string& name : there) {
    if (!KindOfImageName(name).has_value()) continue;
    return MakeFailure(Failure::kImagesDir, absl::StatusCode::kFailedPrecondition,
                       absl::StrCat("images directory ", path_, " has ", name,
                                    " of another dump; remove its images or choose another -D"));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> ImageDirectory::CreateInParent(const std::string& name) {
  if (!parent_) {
    // As others may read what is not in it.
    constexpr mode_t kMode = 0755;
    if (mkdirat(staging_.get(), kParentLink, kMode) < 0) return ImageWriteError(errno, kParentLink);
    names_.emplace_back(kParentLink);
    parent_.Reset(
        openat(staging_.get(), kParentLink, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!parent_) return ImageWriteError(errno, kParentLink);
  }
  UniqueFd file(openat(parent_.get(), name.c_str(),
                       O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file) return ImageWriteError(errno, absl::StrCat(kParentLink, "/", name));
  return file;
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
  RETURN_IF_ERROR(WriteAll(BorrowedFd(file), image.bytes(), image.name()));
  for (const std::string& name : also) {
    if (linkat(parent_.get(), image.name().c_str(), parent_.get(), name.c_str(), 0) == 0) continue;
    // A file system without links, or one name too many.
    ASSIGN_OR_RETURN(const UniqueFd copy, CreateInParent(name));
    RETURN_IF_ERROR(WriteAll(BorrowedFd(copy), image.bytes(), name));
  }
  return absl::OkStatus();
}

absl::Status ImageDirectory::CommitPages(bool sync) {
  if (sync && syncfs(staging_.get()) < 0) return ImageWriteError(errno, path_);
  absl::Status moved = RemoveOldParent();
  for (const std::string& name : names_) {
    if (moved.ok()) moved = MoveOut(name);
    if (!moved.ok()) break;
  }
  if (moved.ok()) moved = SyncIf(sync, directory_, path_);
  if (!moved.ok()) {
    RemoveNames();
    return moved;
  }
  RemoveStaging();
  return absl::OkStatus();
}

absl::Status ImageDirectory::LinkParent(const std::string& path) {
  if (!can_have_parent()) return ImageWriteError(ENOTEMPTY, kParentLink);
  if (symlinkat(path.c_str(), staging_.get(), kParentLink) < 0) {
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
  return old && HoldsImagesOnly(old.get());
}

absl::Status ImageDirectory::AdoptOthers() {
  ASSIGN_OR_RETURN(const std::vector<std::string> there, NamesIn(staging_.get()));
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
  if (fstatat(staging_.get(), StagedName(mark.inventory).c_str(), &written, AT_SYMLINK_NOFOLLOW) <
      0) {
    return absl::ErrnoToStatus(errno, mark.inventory);
  }
  mark.inode = written.st_ino;
  mark.directory.Reset(fcntl(directory_.get(), F_DUPFD_CLOEXEC, 0));
  if (!mark.directory) return absl::ErrnoToStatus(errno, path_);
  return mark;
}

absl::Status ImageDirectory::Remove(const std::string& name) {
  if (unlinkat(directory_.get(), name.c_str(), 0) < 0 && errno != ENOENT) {
    return ImageWriteError(errno, name);
  }
  return absl::OkStatus();
}

absl::Status ImageDirectory::RemoveOldImages() {
  ASSIGN_OR_RETURN(const std::vector<std::string> there, NamesIn(directory_.get()));
  for (const std::string& name : there) {
    if (leaves_pages_ && IsOfPages(name)) continue;
    if (KindOfImageName(name).has_value()) RETURN_IF_ERROR(Remove(name));
  }
  return RemoveOldParent();
}

// The parent images of the earlier dump, or the link to them; what else has that name is nobody's
// dump.
absl::Status ImageDirectory::RemoveOldParent() {
  if (!can_have_parent()) return absl::OkStatus();
  if (unlinkat(directory_.get(), kParentLink, 0) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno != EISDIR) return ImageWriteError(errno, kParentLink);
  RemoveDirectory(directory_.get(), kParentLink);
  if (faccessat(directory_.get(), kParentLink, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
    return ImageWriteError(ENOTEMPTY, kParentLink);
  }
  return absl::OkStatus();
}

absl::Status ImageDirectory::MoveOut(const std::string& name) {
  if (renameat(staging_.get(), StagedName(name).c_str(), directory_.get(), name.c_str()) < 0) {
    return ImageWriteError(errno, name);
  }
  moved_.push_back(name);
  return absl::OkStatus();
}

absl::Status ImageDirectory::MoveOutInventory(bool sync) {
  RETURN_IF_ERROR(SyncIf(sync, directory_, path_));
  RETURN_IF_ERROR(MoveOut(ImageName(ImageKind::kInventory)));
  return SyncIf(sync, directory_, path_);
}

absl::Status ImageDirectory::Replace(bool sync) {
  if (in_place_) return MoveOutInventory(sync);
  const std::string inventory = ImageName(ImageKind::kInventory);
  // The old inventory goes first: from here on, and until the new one stands, there is no dump.
  // The directory is synced at each turn, since nothing else orders renames on every filesystem.
  RETURN_IF_ERROR(Remove(inventory));
  RETURN_IF_ERROR(SyncIf(sync, directory_, path_));
  RETURN_IF_ERROR(RemoveOldImages());
  for (const std::string& name : names_) {
    if (name != inventory) RETURN_IF_ERROR(MoveOut(name));
  }
  return MoveOutInventory(sync);
}

absl::Status ImageDirectory::Commit(bool sync) {
  if (std::find(names_.begin(), names_.end(), ImageName(ImageKind::kInventory)) == names_.end()) {
    return absl::InternalError("a dump without an inventory cannot be committed");
  }
  if (sync && syncfs(staging_.get()) < 0) return ImageWriteError(errno, path_);
  const absl::Status replaced = Replace(sync);
  if (!replaced.ok()) {
    // Half of a dump is of no use: take back what has been moved out.
    RemoveNames();
    return replaced;
  }
  // From here on it is the reader's.
  if (in_place_) staging_.Reset();
  RemoveStaging();
  return absl::OkStatus();
}

}  // namespace dumpctl
