#ifndef DUMP_SESSION_ACTION_SCRIPTS_H_
#define DUMP_SESSION_ACTION_SCRIPTS_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "dump/session/dump_options.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// The programs of --action-script, run at the stages of a dump as criu(8) has it: in the work
// directory, the last one first, with CRTOOLS_SCRIPT_ACTION, CRTOOLS_IMAGE_DIR and CRTOOLS_INIT_PID
// in the environment. What they print goes to our stderr. They end when we are killed.
class ActionScripts {
 public:
  explicit ActionScripts(const DumpOptions& options) : options_(options) {}

  bool empty() const { return options_.action_scripts.empty(); }

  // Nothing is frozen: as long as they take.
  absl::Status BeforeDump() const;
  // The tree stands still, and `images` is a directory with all images: up to the dump's timeout.
  absl::Status AfterDump(BorrowedFd images) const;

 private:
  // Each is run, even where one before it has failed. Errors: Failure::kScript, of the first;
  // Failure::kTimeout; what options_.may_go_on says, which is asked all along.
  absl::Status Run(std::string_view action, BorrowedFd images, absl::Time deadline) const;

  const DumpOptions& options_;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_ACTION_SCRIPTS_H_
