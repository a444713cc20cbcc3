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
  // Starts to write pages of `runs`, one run behind the other from the first on, to `offset` of the
  // file; others may write theirs meanwhile. Finish waits for it, and returns the bytes of those
  // that were written, perhaps not all; 0: the first it cannot.
  virtual void Start(std::span<const PageRun> runs, uint64_t offset) = 0;
  virtual uint64_t Finish() = 0;
  // Whether Finish would not wait. Where it would, SIGCHLD tells when to ask again.
  virtual bool IsDone() = 0;
};

}  // namespace dumpctl

#endif  // DUMP_MM_SELF_WRITER_H_
