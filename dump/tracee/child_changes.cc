#include "dump/tracee/child_changes.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>

#include "absl/time/clock.h"

namespace dumpctl {

ChildChanges::ChildChanges() {
  sigemptyset(&sigchld_);
  sigaddset(&sigchld_, SIGCHLD);
  pthread_sigmask(SIG_BLOCK, &sigchld_, &old_);
}

ChildChanges::~ChildChanges() { pthread_sigmask(SIG_SETMASK, &old_, nullptr); }

void ChildChanges::Wait(absl::Time deadline) const {
  const absl::Duration left = std::max(absl::ZeroDuration(), deadline - absl::Now());
  const timespec timeout = absl::ToTimespec(left);
  sigtimedwait(&sigchld_, nullptr, &timeout);
}

}  // namespace dumpctl
