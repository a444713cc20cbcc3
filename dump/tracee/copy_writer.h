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
  // Of one that was made beside a process (ProcessCopy::MakeBeside), in whose memory `size` bytes
  // at `scratch` are free.
  static absl::StatusOr<CopyWriter> PrepareBeside(pid_t copy, const ProcDir& dir,
                                                  RemoteAddress scratch, size_t size);
  // Another thread of the same copy, that of `dir`, which writes into a file of its own beside this
  // one and ends with the object. Not of one made beside a process.
  absl::StatusOr<CopyWriter> AddThread(const ProcDir& dir);

  CopyWriter(CopyWriter&&) = default;

  // How many pieces it writes at once: what its scratch memory holds, and IOV_MAX at most.
  size_t most_pieces() const { return most_pieces_; }
  // Of one that was made beside a process: has no scratch memory from now on, so that the process
  // may run. It writes a piece at a time, into the file that it has.
  void LeaveScratch() { most_pieces_ = 1; }

  // Takes a file in, instead of the one that it had.
  absl::Status Take(BorrowedFd file);
  // Writes pieces of its memory, one behind the other, to `offset` of the file. Returns how many
  // bytes were written, which is less where memory cannot be read, or the file is full. Errors:
  // pwritev(2)'s, where it was none, and that the copy was killed.
  absl::StatusOr<uint64_t> Write(std::span<const iovec> pieces, uint64_t offset);
  // The same in two steps, between which others write beside it.
  absl::Status StartWrite(std::span<const iovec> pieces, uint64_t offset);
  absl::StatusOr<uint64_t> FinishWrite();
  bool IsDone() { return calls_.IsDone(); }  // whether that would not wait

 private:
  CopyWriter(pid_t copy, CopyCalls calls, RemoteAddress scratch, size_t most_pieces, int socket,
             UniqueFd ours)
      : copy_(copy),
        calls_(std::move(calls)),
        scratch_(scratch),
        most_pieces_(most_pieces),
        socket_(socket),
        ours_(std::move(ours)) {}

  static absl::StatusOr<CopyWriter> Connect(pid_t copy, CopyCalls calls, RemoteAddress scratch,
                                            size_t size);
  absl::StatusOr<int> Receive();

  pid_t copy_;
  CopyCalls calls_;
  RemoteAddress scratch_;  // memory of the copy alone
  size_t most_pieces_;
  int socket_;  // its end of a pair, of which we have the other
  UniqueFd ours_;
  int file_ = -1;  // its number in the copy
};

}  // namespace dumpctl

#endif  // DUMP_TRACEE_COPY_WRITER_H_
