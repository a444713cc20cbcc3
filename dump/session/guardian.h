#ifndef DUMP_SESSION_GUARDIAN_H_
#define DUMP_SESSION_GUARDIAN_H_

#include <sys/types.h>

#include "absl/status/status.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// A process that waits for our end, and then does what we cannot do any more: some 100 us after we
// were killed, when the kernel has let go of whom we traced; or before that, see WatchClosely. It
// ends with the object.
class Guardian {
 public:
  Guardian() = default;
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;
  ~Guardian() { Dismiss(); }

  // Once, this or StartApart. `deed` runs in the other process, on a copy of our memory as it is
  // now: what it is to know of later stands in shared mappings. Our descriptors are its own
  // (CLONE_FILES). It has to do by system calls alone, for another thread may hold any lock by now.
  absl::Status Start(void (*deed)(void* argument), void* argument);
  // The same with descriptors of its own, and by fork(2): so `deed` may do anything but take locks
  // of ours, the allocator's aside.
  absl::Status StartApart(void (*deed)(void* argument), void* argument);
  bool started() const { return pid_ > 0; }

  // Once it is started, by our first thread alone, which traces whom we have frozen: from now on
  // its deed is done before the kernel lets go of them. For that it traces this thread until it is
  // dismissed: each signal that comes to it takes a few tens of microseconds more, ends waits even
  // where it is ignored, and whoever stops the guardian alone keeps us from ending until it goes
  // on. Nothing changes where it may not (somebody traces us already), and the second time.
  void WatchClosely();

  // Nothing is left to be done for us.
  void Dismiss();

 private:
  absl::Status StartAs(pid_t (*make)(), void (*deed)(void* argument), void* argument);

  pid_t pid_ = 0;
  bool watched_ = false;
  // In the table that both have.
  UniqueFd self_;     // by which it sees our end
  UniqueFd asked_;    // to it: which thread it is to trace
  UniqueFd watches_;  // from it: that it has tried
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_GUARDIAN_H_
