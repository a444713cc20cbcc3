#include "dump/image/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "dumpctl/failure.h"
#include "dumpctl/unique_fd.h"
#include "dumpctl/whole_io.h"

namespace dumpctl {

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

absl::Status ReplaceError(int error, const std::string& name) {
  return ImageWriteError(error, absl::StrCat(name, " in place of what is there"));
}

absl::Status WriteImageBytes(BorrowedFd file, std::string_view bytes, const std::string& name) {
  const int error = WriteAll(file, bytes);
  if (error == 0) return absl::OkStatus();
  return ImageWriteError(error, absl::StrCat(name, " (", bytes.size(), " bytes)"));
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
  int error = WriteAll(BorrowedFd(file), bytes);
  if (error == 0 && renameat(dir.get(), temporary.c_str(), dir.get(), name.c_str()) < 0) {
    error = errno;
  }
  if (error == 0) return absl::OkStatus();
  unlinkat(dir.get(), temporary.c_str(), 0);
  return ImageWriteError(error, name);
}

absl::Status WritePidfile(const std::string& path, pid_t pid) {
  const std::string what = absl::StrCat("pid file ", path);
  const UniqueFd file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file) return ImageWriteError(errno, what);
  const int error = WriteAll(BorrowedFd(file), absl::StrCat(pid));
  return error == 0 ? absl::OkStatus() : ImageWriteError(error, what);
}

}  // namespace dumpctl
