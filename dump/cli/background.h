#ifndef DUMP_CLI_BACKGROUND_H_
#define DUMP_CLI_BACKGROUND_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// A daemon's beginning: goes on in a process of its own, in a session of its own, while the one
// that was started ends as soon as there is somebody to be served.
class Background {
 public:
  // Returns in the new process alone, which has nothing open but the standard three. The other one
  // waits, and ends: with 0 when Enter is called, else with the exit status of the new one, whose
  // error is still told where the user sees it. To be called before there are other threads.
  static absl::StatusOr<Background> Start();

  // From here on nobody sees what is said: the standard descriptors are /dev/null's. Nobody who
  // waits for the end of a pipe or of a lock has to wait for us.
  absl::Status Enter();

 private:
  explicit Background(UniqueFd starter) : starter_(std::move(starter)) {}

  UniqueFd starter_;
};

}  // namespace dumpctl

#endif  // DUMP_CLI_BACKGROUND_H_
