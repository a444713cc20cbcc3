#ifndef DUMP_SESSION_RUN_SETUP_H_
#define DUMP_SESSION_RUN_SETUP_H_

#include <string>

#include "absl/status/statusor.h"

namespace dumpctl {

// As many open files as we may have: a copy of every descriptor of every task is held while it is
// dumped.
void RaiseOpenFileLimit();

// What tells this run from all others (inventory_entry::dump_criu_run_id).
absl::StatusOr<std::string> NewRunId();

}  // namespace dumpctl

#endif  // DUMP_SESSION_RUN_SETUP_H_
