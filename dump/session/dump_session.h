#ifndef DUMP_SESSION_DUMP_SESSION_H_
#define DUMP_SESSION_DUMP_SESSION_H_

#include "absl/status/statusor.h"
#include "dump/session/dump_options.h"
#include "dump/session/dump_report.h"
#include "dumpctl/log.h"

namespace dumpctl {

// One dump, from preflight to commit. On every error the target runs on as if nothing had been, and
// the images directory holds what it held before, or no dump; see Failure for the kinds of errors.
// Failure::kUnfinished alone comes when the dump stands, and says what has become of the target.
//
// Must be called from one thread, with no other tracing going on in this process.
absl::StatusOr<DumpReport> Dump(const DumpOptions& options, Log& log);

}  // namespace dumpctl

#endif  // DUMP_SESSION_DUMP_SESSION_H_
