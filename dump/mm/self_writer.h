#ifndef DUMP_MM_SELF_WRITER_H_
#define DUMP_MM_SELF_WRITER_H_

#include <cstdint>
#include <span>

#include "dump/image/page_run.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// A task that writes its own pages, so that they need not be read from it first.
class SelfWriter {
 public:
  virtual ~SelfWriter() = default;

  // Names the file that it is to write to. False: it cannot.
  virtual bool Begin(BorrowedFd file) = 0;
  // Writes pages of `runs`, one run behind the other from the first on, to `offset` of the file.
  // Returns the bytes of those that it has written, perhaps not all; 0: the first it cannot.
  virtual uint64_t Write(std::span<const PageRun> runs, uint64_t offset) = 0;
};

}  // namespace dumpctl

#endif  // DUMP_MM_SELF_WRITER_H_
