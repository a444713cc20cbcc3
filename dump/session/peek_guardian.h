#ifndef DUMP_SESSION_PEEK_GUARDIAN_H_
#define DUMP_SESSION_PEEK_GUARDIAN_H_

#include <atomic>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "dump/session/guardian.h"
#include "dump/session/shared_memory.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// Sees to it that a socket's SO_PEEK_OFF is -1 again after it was peeked into, even when this
// process is killed meanwhile, before the target could look past what it has not read: by a
// guardian, which is started when it is first needed at the latest, and ends with the object.
class PeekGuardian {
 public:
  PeekGuardian() = default;
  PeekGuardian(const PeekGuardian&) = delete;
  PeekGuardian& operator=(const PeekGuardian&) = delete;

  // Does nothing the second time. Whatever memory is written afterwards, of what there is by now,
  // is copied then, so that a large process starts it early.
  absl::Status Start();

  // Runs `peeking`, which may set the offset of `socket`, where it was -1.
  absl::Status Guard(BorrowedFd socket, absl::FunctionRef<absl::Status()> peeking);

 private:
  SharedMemory<std::atomic<int>> peeked_;  // the socket, or -1
  Guardian guardian_;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_PEEK_GUARDIAN_H_
