#ifndef DUMP_IMAGE_UNPACK_ARCHIVE_H_
#define DUMP_IMAGE_UNPACK_ARCHIVE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

struct Unpacked {
  size_t images = 0;
  uint64_t bytes = 0;
};

// Makes a directory of a whole dump of the tar archive that `from` reads, which may be anybody's:
// of an ImageArchive, or what tar(1) has made of such a directory. All or nothing becomes visible
// there, as ImageDirectory has it; `sync` is its Commit's. `may_go_on` is asked while there is
// something to read, or to wait for, and its error is the result; empty: nobody is asked.
//
// Errors: Failure::kBadImage for what is no tar archive, is not whole, has no inventory, or holds
// anything but regular files with plain names, in the directory itself or as parent images, and
// links to such a parent image beside it; those of ImageDirectory.
absl::StatusOr<Unpacked> UnpackArchive(BorrowedFd from, const std::string& path, bool sync,
                                       const std::function<absl::Status()>& may_go_on = {});

}  // namespace dumpctl

#endif  // DUMP_IMAGE_UNPACK_ARCHIVE_H_
