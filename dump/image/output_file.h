#ifndef DUMP_IMAGE_OUTPUT_FILE_H_
#define DUMP_IMAGE_OUTPUT_FILE_H_

#include <sys/types.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// What a directory is to the user: its name in errors, and the option that chooses it.
struct DirectoryRole {
  std::string_view name;
  std::string_view option;
};
// What restorers call it.
inline constexpr DirectoryRole kImagesDirectory = {"images directory", "-D"};
inline constexpr DirectoryRole kWorkDirectory = {"work directory", "-W"};

// Failure::kImagesDir for a directory that cannot be opened, or not be written in, with the remedy.
absl::Status DirectoryError(int error, const DirectoryRole& role, const std::string& path);

// Failure::kImagesDir when nothing can be created in `path`; a later write can still fail.
absl::Status CheckWritable(const DirectoryRole& role, const std::string& path);

// Writes one file into any directory, outside of a dump: replaced whole or not at all. For
// statistics and the like, which are known only when a dump stands.
absl::Status WriteInto(const DirectoryRole& role, const std::string& directory,
                       const std::string& name, std::string_view bytes);

// Writes the number alone, as criu(8) does, into a file that may be there already, not through a
// link.
absl::Status WritePidfile(const std::string& path, pid_t pid);

// A status for a failed write: Failure::kNoSpace when the disk or a quota is full, kHost when we
// may not have more files open.
absl::Status ImageWriteError(int error, std::string_view what);

// The same where the image `name` is to come and something else is in its way.
absl::Status ReplaceError(int error, const std::string& name);

// `bytes` of the image `name`.
absl::Status WriteImageBytes(BorrowedFd file, std::string_view bytes, const std::string& name);

}  // namespace dumpctl

#endif  // DUMP_IMAGE_OUTPUT_FILE_H_
