#ifndef DUMP_TRACEE_CHILD_CHANGES_H_
#define DUMP_TRACEE_CHILD_CHANGES_H_

#include <signal.h>

#include "absl/time/time.h"

namespace dumpctl {

// For who waits until one of several children or tracees has changed state, and looks which: a
// scope, in which no change is missed between the look and the wait.
class ChildChanges {
 public:
  // SIGCHLD must be blocked to be waited for.
  ChildChanges();
  ~ChildChanges();
  ChildChanges(const ChildChanges&) = delete;
  ChildChanges& operator=(const ChildChanges&) = delete;

  // Returns when one may have changed, or at `deadline`.
  void Wait(absl::Time deadline) const;

 private:
  sigset_t sigchld_;
  sigset_t old_;
};

}  // namespace dumpctl

#endif  // DUMP_TRACEE_CHILD_CHANGES_H_
