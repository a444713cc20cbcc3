#ifndef DUMP_SESSION_GUARDIAN_H_
#define DUMP_SESSION_GUARDIAN_H_

#include <sys/types.h>

#include "absl/status/status.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// A process that shares our descriptors (CLONE_FILES), waits for our end, and then does what we
// cannot do any more: some 100 us after we were killed. It ends with the object.
class Guardian {
 public:
  Guardian() = default;
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;
  ~Guardian() { Dismiss(); }

  // Once. `deed` runs in the other process, on a copy of our memory as it is now: what it is to
  // know of later stands in shared mappings. It has to do by system calls alone, for another thread
  // may hold any lock by now.
  absl::Status Start(void (*deed)(void* argument), void* argument);
  bool started() const { return pid_ > 0; }

  // Nothing is left to be done for us.
  void Dismiss();

 private:
  pid_t pid_ = 0;
  UniqueFd self_;  // by which it sees our end; in the table that both have
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_GUARDIAN_H_
