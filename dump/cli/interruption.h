#ifndef DUMP_CLI_INTERRUPTION_H_
#define DUMP_CLI_INTERRUPTION_H_

#include <signal.h>

#include "absl/status/status.h"

namespace dumpctl {

// Holds back SIGHUP, SIGINT and SIGTERM while a dump goes on, so that it ends between two steps and
// not within one. They are blocked, in every thread that is started meanwhile too, and looked for:
// no handler runs, and no system call is cut short. Where one of them was ignored (nohup) or
// blocked before, it does not ask to end. SIGQUIT is left alone: it ends dumpctl at once.
//
// SIGPIPE and SIGXFSZ are blocked as well: who writes then gets an error, as for any other cause.
class Interruption {
 public:
  Interruption();
  // What has come was told by Check, or came too late: it is forgotten.
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  // Failure::kInterrupted once such a signal has come.
  absl::Status Check() const;

 private:
  sigset_t held_;
  sigset_t before_;
};

// Ends this process as the signal would have ended it that Check told of in `status`, for shells
// stop their loops only then. Returns where there is none, or where signals cannot end us, as they
// cannot end the first process of a container.
void EndBySignal(const absl::Status& status);

}  // namespace dumpctl

#endif  // DUMP_CLI_INTERRUPTION_H_
