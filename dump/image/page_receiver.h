#ifndef DUMP_IMAGE_PAGE_RECEIVER_H_
#define DUMP_IMAGE_PAGE_RECEIVER_H_

#include <cstddef>
#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"
#include "dump/image/image_directory.h"
#include "dump/image/parent_images.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

struct ReceivedPages {
  size_t objects = 0;  // tasks, and objects that they share
  uint64_t pages = 0;
  uint64_t pages_in_parent = 0;
  bool told = false;  // the dump, that they are kept
};

// Takes the pages that one dump sends over `socket` as a page server of criu(8) does, from dumpers
// of either size of heads, and leaves them with their pagemaps in `directory`, which they become
// visible in together. The dump is told that it has succeeded when they stand there; `sync`: on the
// disk. Where it has gone by then they are kept all the same. `may_go_on` is asked about every 100
// ms while there is something to wait for, by a timeout that the socket gets, and its error is the
// result; empty: nobody is asked.
//
// The peer may be anybody: what it sends is refused as soon as it is not what a dump sends, and
// nothing is left then; so is what it leaves to `parent` (which `directory` links to; null where
// there is none) and is not there. Memory is bounded, but for the pagemaps of one task. Errors:
// Failure::kPeer when the peer ends early or sends what is not understood, those of ImageDirectory
// and ParentImages.
absl::StatusOr<ReceivedPages> ReceivePages(BorrowedFd socket, ImageDirectory& directory,
                                           const ParentImages* parent, bool sync,
                                           const std::function<absl::Status()>& may_go_on = {});

}  // namespace dumpctl

#endif  // DUMP_IMAGE_PAGE_RECEIVER_H_
