#ifndef DUMP_CLI_INTERRUPTION_H_
#define DUMP_CLI_INTERRUPTION_H_

#include <signal.h>

#include <string_view>

#include "absl/status/status.h"

namespace dumpctl {

// Holds back SIGHUP, SIGINT and SIGTERM while a dump goes on, or is taken in, so that it ends
// between two steps and not within one. They are blocked, in every thread that is started meanwhile
// too, and looked for: no handler runs, and no system call is cut short. Where one of them was
// ignored (nohup) or blocked before, it does not ask to end. SIGQUIT is left alone: it ends dumpctl
// at once.
class Interruption {
 public:
  // `outcome`, which must outlive it: what is told of a dump that was interrupted.
  explicit Interruption(std::string_view outcome);
  // What has come was told by Check, or came too late: it is forgotten.
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  // Failure::kInterrupted once such a signal has come.
  absl::Status Check() const;

 private:
  std::string_view outcome_;
  sigset_t held_;
  sigset_t before_;
};

// Has SIGPIPE and SIGXFSZ blocked for good, here and in every thread that is started from now on:
// who writes gets an error then, as for any other cause. Unlike one that is ignored, a blocked
// signal is as it was for programs that we run with a mask of their own.
void HearOfFailedWrites();

// `status`, of who is to end by that signal.
absl::Status WithSignal(absl::Status status, int signal);
// That signal, or 0.
int SignalOf(const absl::Status& status);

// Ends this process as the signal would have ended it that `status` has, for shells stop their
// loops only then. Returns where there is none, or where signals cannot end us, as they cannot end
// the first process of a container.
void EndBySignal(const absl::Status& status);

}  // namespace dumpctl

#endif  // DUMP_CLI_INTERRUPTION_H_
