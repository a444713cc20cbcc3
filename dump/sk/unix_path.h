#ifndef DUMP_SK_UNIX_PATH_H_
#define DUMP_SK_UNIX_PATH_H_

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// Where the path is that a socket was bound to.
struct BoundPath {
  std::string directory;  // that a relative name starts from; empty for an absolute one
  bool deleted = false;   // the file has no name any more, or that name is another file's
  struct stat stat = {};
};

// `name`: as it was bound, without a terminating zero. `bound`: its file. `working`: the working
// directory of who has the socket, which is tried where the place of the file alone does not tell
// from where the name leads there ("../log.sock").
//
// None when the name does not lead there from anywhere (the file was renamed, the name leads
// through symbolic links, or is that of another root).
absl::StatusOr<std::optional<BoundPath>> FindBoundPath(std::string_view name, BorrowedFd bound,
                                                       std::string_view working);

// The directory from which `name` leads to `path` (both without symbolic links); none when there
// is none. Pure.
std::optional<std::string> DirectoryOf(std::string_view name, std::string_view path,
                                       std::string_view working);

}  // namespace dumpctl

#endif  // DUMP_SK_UNIX_PATH_H_
