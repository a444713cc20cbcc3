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

// Reads everything out of the second pipe.
absl::StatusOr<std::string> ReadTeed(const TeedPipe& pipe);

// How many packets stand in a pipe in packet mode (O_DIRECT). Each read(2) of one gives a packet.
struct Packets {
  std::string bytes;
  size_t count = 0;
};
absl::StatusOr<Packets> ReadTeedPackets(const TeedPipe& pipe);

}  // namespace dumpctl

#endif  // DUMP_FD_PIPE_CONTENTS_H_
