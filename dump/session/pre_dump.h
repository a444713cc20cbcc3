#ifndef DUMP_SESSION_PRE_DUMP_H_
#define DUMP_SESSION_PRE_DUMP_H_

#include "absl/status/statusor.h"
#include "dump/session/dump_options.h"
#include "dump/session/dump_report.h"
#include "dumpctl/log.h"

namespace dumpctl {

// Saves the private memory of a tree, and no more, and tracks what is written from then on: the
// next dump or pre-dump, with --prev-images-dir, saves only that. The tree stands still only while
// it is found out which pages there are; they are read when it runs again. What it writes meanwhile
// is tracked already, so that what was read of such pages counts for nothing.
//
// The images are an inventory, pagemaps and pages: nothing that could be restored by itself.
// Whatever a dump would refuse is refused here. Errors: those of Dump.
absl::StatusOr<DumpReport> PreDump(const DumpOptions& options, Log& log);

// Ends the tracking of the tree below `pid`; whether there was any. Its tasks are as they were
// before.
absl::StatusOr<bool> Untrack(pid_t pid);

}  // namespace dumpctl

#endif  // DUMP_SESSION_PRE_DUMP_H_
