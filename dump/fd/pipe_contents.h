#ifndef DUMP_FD_PIPE_CONTENTS_H_
#define DUMP_FD_PIPE_CONTENTS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// What stands in a pipe or fifo, taken without taking it out: tee(2) makes a second pipe refer to
// the same pages. Nobody who waits at the pipe notices.
struct TeedPipe {
  UniqueFd contents;      // read end of the second pipe; none when the pipe was empty
  uint32_t bytes = 0;     // what there is to read from it
  uint32_t capacity = 0;  // bytes, F_GETPIPE_SZ
};

// `readable` is a read end. Errors: ResourceExhausted when a pipe of that size cannot be made
// (fs.pipe-max-size), Internal when the kernel gives less than FIONREAD promised.
absl::StatusOr<TeedPipe> TeePipe(BorrowedFd readable);

// What was read out of the second pipe.
struct PipeBytes {
  std::string bytes;
  // They stand there as packets (O_DIRECT, pipe(2)): each write(2) is a read(2) of its own. A
  // single packet cannot be told from plain bytes.
  bool packets = false;
};
absl::StatusOr<PipeBytes> ReadTeed(const TeedPipe& pipe);

}  // namespace dumpctl

#endif  // DUMP_FD_PIPE_CONTENTS_H_
