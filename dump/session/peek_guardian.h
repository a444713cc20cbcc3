#ifndef DUMP_SESSION_PEEK_GUARDIAN_H_
#define DUMP_SESSION_PEEK_GUARDIAN_H_

#include <sys/types.h>

#include <atomic>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// Sees to it that a socket's SO_PEEK_OFF is -1 again after it was peeked into, even when this
// process is killed meanwhile: by a process that shares our descriptors (CLONE_FILES) and waits for
// our end. It is started when it is first needed, and ends with the object.
//
// Between our death and its awakening, some 100 us, a target that peeks just then could look past
// what it has not read.
class PeekGuardian {
 public:
  PeekGuardian() = default;
  PeekGuardian(const PeekGuardian&) = delete;
  PeekGuardian& operator=(const PeekGuardian&) = delete;
  ~PeekGuardian();

  // Runs `peeking`, which may set the offset of `socket`, where it was -1.
  absl::Status Guard(BorrowedFd socket, absl::FunctionRef<absl::Status()> peeking);

 private:
  absl::Status Start();

  pid_t pid_ = 0;
  UniqueFd self_;                       // by which it sees our end; in the table that both have
  std::atomic<int>* peeked_ = nullptr;  // the socket, or -1; memory that both see
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_PEEK_GUARDIAN_H_
