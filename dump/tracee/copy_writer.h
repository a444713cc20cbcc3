#ifndef DUMP_TRACEE_COPY_WRITER_H_
#define DUMP_TRACEE_COPY_WRITER_H_

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/tracee/copy_calls.h"
#include "dump/tracee/rseq.h"
#include "dumpctl/remote_address.h"
#include "dumpctl/unique_fd.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// A copy of a process (ProcessCopy) that writes what is in its memory into our files by itself, so
// that it is copied once, into the page cache, and not twice.
//
// For that the copy leaves the descriptor table that it shares with the process and has an empty
// one, in which our file is alone: neither is a descriptor of the process held open, nor has the
// process one of ours at any instant. From then on it writes as it is scheduled, accounted and
// limited itself; see SelfWriters for whom that may be asked.
class CopyWriter {
 public:
  // See CopyCalls::Prepare. Errors leave a copy that can be read from as before.
  static absl::StatusOr<CopyWriter> Prepare(pid_t copy, const ProcDir& dir,
                                            const std::optional<RseqRegistration>& rseq);
  // Of one that was made beside a process (ProcessCopy::MakeBeside), in whose memory kScratchSize
  // bytes at `scratch` are free.
  static absl::StatusOr<CopyWriter> PrepareBeside(pid_t copy, const ProcDir& dir,
                                                  RemoteAddress scratch);

  CopyWriter(CopyWriter&&) = default;

  static constexpr size_t kMostPieces = 1024;  // IOV_MAX, and what its scratch memory holds
  static constexpr size_t kScratchSize = kMostPieces * sizeof(iovec);

  // Takes a file in, instead of the one that it had.
  absl::Status Take(BorrowedFd file);
  // Writes pieces of its memory (kMostPieces at most), one behind the other, to `offset` of the
  // file. Returns how many bytes were written, which is less where memory cannot be read, or the
  // file is full. Errors: pwritev(2)'s, where it was none, and that the copy was killed.
  absl::StatusOr<uint64_t> Write(std::span<const iovec> pieces, uint64_t offset);

 private:
  CopyWriter(CopyCalls calls, RemoteAddress scratch, int socket, UniqueFd ours)
      : calls_(std::move(calls)), scratch_(scratch), socket_(socket), ours_(std::move(ours)) {}

  static absl::StatusOr<CopyWriter> Connect(pid_t copy, CopyCalls calls, RemoteAddress scratch);
  absl::StatusOr<int> Receive();

  CopyCalls calls_;
  RemoteAddress scratch_;  // memory of the copy alone
  int socket_;             // its end of a pair, of which we have the other
  UniqueFd ours_;
  int file_ = -1;  // its number in the copy
};

}  // namespace dumpctl

#endif  // DUMP_TRACEE_COPY_WRITER_H_
