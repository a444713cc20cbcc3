#ifndef DUMP_IMAGE_MISS_PEER_H_
#define DUMP_IMAGE_MISS_PEER_H_

#include "absl/status/status.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// Nothing is ever heard of a peer whose machine, or the way to it, is gone: has the kernel ask, so
// that a TCP connection ends a minute later, or earlier where the system says so. It is the peer's
// kernel that answers, however slow the peer is, or stopped.
absl::Status MissPeer(BorrowedFd peer);

}  // namespace dumpctl

#endif  // DUMP_IMAGE_MISS_PEER_H_
