#include "dump/image/staging.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "dump/image/directory_entries.h"
#include "dump/image/image_table.h"
#include "dump/image/output_file.h"
#include "dump/image/set_aside.h"
#include "dump/image/unfinished_mark.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

constexpr char kHiddenDirectory[] = ".dumpctl-staging";

absl::Status StagingError(int error, const std::string& path) {
  if (error == ENOSPC || error == EDQUOT) return ImageWriteError(error, path);
  return DirectoryError(error, kImagesDirectory, path);
}

UniqueFd OpenHidden(BorrowedFd directory) {
  return UniqueFd(
      openat(directory.get(), kHiddenDirectory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
}

absl::StatusOr<UniqueFd> CreateIn(BorrowedFd directory, const std::string& staged, int how,
                                  const std::string& name) {
  UniqueFd file(openat(directory.get(), staged.c_str(),
                       O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | how, 0644));
  if (!file) return ImageWriteError(errno, name);
  return file;
}

absl::StatusOr<UniqueFd> Duplicate(BorrowedFd directory, const std::string& path) {
  UniqueFd fd(fcntl(directory.get(), F_DUPFD_CLOEXEC, 0));
  if (!fd) return DirectoryError(errno, kImagesDirectory, path);
  return fd;
}

class StagingBeside final : public Staging {
 public:
  StagingBeside(UniqueFd above, UniqueFd fd) : Staging(std::move(fd)), above_(std::move(above)) {}
  ~StagingBeside() override {
    if (!leaves_) RemoveDirectory(BorrowedFd(above_), kHiddenDirectory);
  }

  bool in_place() const override { return false; }
  absl::StatusOr<UniqueFd> Create(const std::string& name) override {
    return CreateIn(fd(), name, O_TRUNC, name);
  }
  void Leave() override { leaves_ = true; }

 private:
  UniqueFd above_;
  bool leaves_ = false;
};

class StagingInPlace final : public Staging {
 public:
  StagingInPlace(UniqueFd fd, UnfinishedMark mark)
      : Staging(std::move(fd)), mark_(std::move(mark)) {}
  ~StagingInPlace() override { (void)unlinkat(fd().get(), UnfinishedMark::kName, 0); }

  bool in_place() const override { return true; }
  std::string NameOf(const std::string& name) const override {
    return name == ImageName(ImageKind::kInventory) ? UnfinishedMark::kName : name;
  }
  absl::StatusOr<UniqueFd> Create(const std::string& name) override {
    // What somebody else has just put there is not ours to write.
    ASSIGN_OR_RETURN(UniqueFd file, CreateIn(fd(), NameOf(name), O_EXCL, name));
    mark_.Add(BorrowedFd(file));
    return file;
  }
  // The mark notes what there is until all is there.
  bool Keep(const ImageWriter& image) override {
    if (NameOf(image.name()) == image.name()) return false;
    inventory_ = image.bytes();
    return true;
  }
  absl::Status WillStand(bool sync) override {
    const int error = mark_.Become(inventory_, sync);
    return error == 0 ? absl::OkStatus() : ImageWriteError(error, ImageName(ImageKind::kInventory));
  }

 private:
  UnfinishedMark mark_;
  std::string inventory_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Staging>> Staging::Beside(BorrowedFd directory,
                                                         const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd above, Duplicate(directory, path));
  if (mkdirat(directory.get(), kHiddenDirectory, 0700) < 0) return StagingError(errno, path);
  UniqueFd fd = OpenHidden(directory);
  if (!fd) return DirectoryError(errno, kImagesDirectory, path);
  return std::make_unique<StagingBeside>(std::move(above), std::move(fd));
}

absl::StatusOr<std::unique_ptr<Staging>> Staging::InPlace(BorrowedFd directory,
                                                          const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd, Duplicate(directory, path));
  auto [mark, error] = UnfinishedMark::Create(directory);
  if (error != 0) return StagingError(error, path);
  return std::make_unique<StagingInPlace>(std::move(fd), std::move(mark));
}

absl::StatusOr<std::vector<std::string>> Staging::CleanUp(BorrowedFd directory) {
  ASSIGN_OR_RETURN(std::vector<std::string> names, NamesIn(directory));
  const auto has = [&names](const char* name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  const bool hidden = has(kHiddenDirectory);
  const bool marked = has(UnfinishedMark::kName);
  if (hidden) {
    const UniqueFd left = OpenHidden(directory);
    if (left) RETURN_IF_ERROR(SetAside::PutBack(directory, BorrowedFd(left)));
    RemoveDirectory(directory, kHiddenDirectory);
  }
  if (marked) UnfinishedMark::CleanUp(directory);
  if (hidden || marked) return NamesIn(directory);
  return names;
}

}  // namespace dumpctl
