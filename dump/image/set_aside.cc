#include "dump/image/set_aside.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "dump/image/directory_entries.h"
#include "dump/image/output_file.h"

namespace dumpctl {
namespace {

// Not by their own names, which the new images have there, and which may be as long as one can be.
std::string NameOf(size_t number) { return absl::StrCat(".earlier-", number); }

}  // namespace

absl::Status SetAside::Take(const std::string& name) {
  const std::string aside = NameOf(taken_.size());
  if (renameat(directory_.get(), name.c_str(), hidden_.get(), aside.c_str()) == 0) {
    taken_.push_back(name);
    return absl::OkStatus();
  }
  if (errno == ENOENT) return absl::OkStatus();
  if (errno != EXDEV) return ReplaceError(errno, name);
  // An overlayfs moves no directory of a lower layer. Without it, what else there is is not whole.
  taken_.clear();
  RemoveDirectory(directory_, name.c_str());
  const bool gone = faccessat(directory_.get(), name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) < 0;
  return gone ? absl::OkStatus() : ReplaceError(EXDEV, name);
}

void SetAside::PutBack(bool sync) {
  for (; !taken_.empty(); taken_.pop_back()) {
    if (sync && taken_.size() == 1) (void)fsync(directory_.get());
    // Where it cannot be, what was taken before it is no whole dump.
    if (renameat(hidden_.get(), NameOf(taken_.size() - 1).c_str(), directory_.get(),
                 taken_.back().c_str()) < 0) {
      return;
    }
  }
}

}  // namespace dumpctl
