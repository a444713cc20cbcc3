#include "dump/image/image_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

constexpr char kStaging[] = ".dumpctl-staging";

absl::Status DirectoryError(int error, const std::string& path) {
  const char* remedy = "";
  if (error == ENOENT) remedy = "; create it first (mkdir)";
  if (error == EACCES || error == EROFS) remedy = "; choose one that can be written (-D)";
  return MakeFailure(Failure::kImagesDir, absl::ErrnoToStatusCode(error),
                     absl::StrCat("images directory ", path, ": ", std::strerror(error), remedy));
}

absl::StatusOr<std::vector<std::string>> NamesIn(int directory, const char* subdirectory) {
  UniqueFd fd(openat(directory, subdirectory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return absl::ErrnoToStatus(errno, subdirectory);
  std::unique_ptr<DIR, int (*)(DIR*)> dir(fdopendir(fd.get()), closedir);
  if (!dir) return absl::ErrnoToStatus(errno, subdirectory);
  (void)fd.Release();
  std::vector<std::string> names;
  while (const dirent* entry = readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

// Best effort: what cannot be removed now is removed by the next dump.
void RemoveStagingDirectory(int directory) {
  const auto names = NamesIn(directory, kStaging);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    unlinkat(directory, absl::StrCat(kStaging, "/", name).c_str(), 0);
  }
  unlinkat(directory, kStaging, AT_REMOVEDIR);
}

}  // namespace

absl::Status ImageWriteError(int error, std::string_view what) {
  const std::string message = absl::StrCat(
      "writing ", std::string(what), ": ", std::strerror(error),
      error == ENOSPC || error == EDQUOT ? "; free some space or choose another -D" : "");
  if (error == ENOSPC || error == EDQUOT) {
    return MakeFailure(Failure::kNoSpace, absl::StatusCode::kResourceExhausted, message);
  }
  return MakeFailure(Failure::kImagesDir, absl::ErrnoToStatusCode(error), message);
}

absl::StatusOr<ImageDirectory> ImageDirectory::Open(const std::string& path) {
  UniqueFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return DirectoryError(errno, path);
  RemoveStagingDirectory(directory.get());
  if (mkdirat(directory.get(), kStaging, 0700) < 0) {
    const int error = errno;
    if (error == ENOSPC || error == EDQUOT) return ImageWriteError(error, path);
    return DirectoryError(error, path);
  }
  UniqueFd staging(openat(directory.get(), kStaging, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!staging) return DirectoryError(errno, path);
  return ImageDirectory(path, std::move(directory), std::move(staging));
}

ImageDirectory::ImageDirectory(ImageDirectory&& other) noexcept
    : path_(std::move(other.path_)),
      directory_(std::move(other.directory_)),
      staging_(std::move(other.staging_)),
      names_(std::move(other.names_)) {}

ImageDirectory::~ImageDirectory() { RemoveStaging(); }

void ImageDirectory::RemoveStaging() {
  if (!staging_) return;
  staging_.Reset();
  RemoveStagingDirectory(directory_.get());
}

absl::StatusOr<UniqueFd> ImageDirectory::Create(const std::string& name) {
  UniqueFd file(openat(staging_.get(), name.c_str(),
                       O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file) return ImageWriteError(errno, name);
  names_.push_back(name);
  return file;
}

absl::Status ImageDirectory::Write(const ImageWriter& image) {
  ASSIGN_OR_RETURN(const UniqueFd file, Create(image.name()));
  std::string_view rest = image.bytes();
  while (!rest.empty()) {
    const ssize_t written = write(file.get(), rest.data(), rest.size());
    if (written < 0) return ImageWriteError(errno, image.name());
    rest.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status ImageDirectory::RemoveOldImages() {
  // The old inventory goes first: from here on, and until the new one stands, there is no dump.
  const std::string inventory = ImageName(ImageKind::kInventory);
  if (unlinkat(directory_.get(), inventory.c_str(), 0) < 0 && errno != ENOENT) {
    return ImageWriteError(errno, inventory);
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> there, NamesIn(directory_.get(), "."));
  for (const std::string& name : there) {
    if (!KindOfImageName(name).has_value()) continue;
    if (unlinkat(directory_.get(), name.c_str(), 0) < 0 && errno != ENOENT) {
      return ImageWriteError(errno, name);
    }
  }
  return absl::OkStatus();
}

absl::Status ImageDirectory::MoveOut(const std::string& name) {
  if (renameat(staging_.get(), name.c_str(), directory_.get(), name.c_str()) < 0) {
    return ImageWriteError(errno, name);
  }
  return absl::OkStatus();
}

absl::Status ImageDirectory::Commit(bool sync) {
  if (sync && syncfs(staging_.get()) < 0) return ImageWriteError(errno, path_);
  RETURN_IF_ERROR(RemoveOldImages());
  const std::string inventory = ImageName(ImageKind::kInventory);
  for (const std::string& name : names_) {
    if (name != inventory) RETURN_IF_ERROR(MoveOut(name));
  }
  RETURN_IF_ERROR(MoveOut(inventory));
  RemoveStaging();
  if (sync && fsync(directory_.get()) < 0) return ImageWriteError(errno, path_);
  return absl::OkStatus();
}

}  // namespace dumpctl
