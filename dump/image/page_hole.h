#ifndef DUMP_IMAGE_PAGE_HOLE_H_
#define DUMP_IMAGE_PAGE_HOLE_H_

#include <fcntl.h>

#include <cstdint>

#include "dumpctl/unique_fd.h"
#include "dumpctl/whole_io.h"

namespace dumpctl {

// Frees pages of a file, which are read as zeros from then on, and on which no dump counts
// (StandingPagesOf). As fallocate(2): 0, or -1 with errno.
inline int PunchHole(BorrowedFd file, uint64_t offset, uint64_t bytes) {
  return Uninterrupted([&] {
    return fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     static_cast<off_t>(offset), static_cast<off_t>(bytes));
  });
}

}  // namespace dumpctl

#endif  // DUMP_IMAGE_PAGE_HOLE_H_
