#ifndef DUMP_SESSION_RUN_SETUP_H_
#define DUMP_SESSION_RUN_SETUP_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace dumpctl {

// As many open files as we may have: a copy of every descriptor of every task is held while it is
// dumped.
void RaiseOpenFileLimit();

// Makes room for `count` descriptors of ours, or as many as we may have. The kernel makes it as it
// goes, by doubling what there is; and where threads share the descriptors it waits each time until
// no processor looks at the old ones any more (synchronize_rcu), which takes 5 to 20 ms. To be
// called while there is one thread.
void ReserveDescriptors(size_t count);

// What tells this run from all others (inventory_entry::dump_criu_run_id).
absl::StatusOr<std::string> NewRunId();

}  // namespace dumpctl

#endif  // DUMP_SESSION_RUN_SETUP_H_
