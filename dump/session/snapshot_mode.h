#ifndef DUMP_SESSION_SNAPSHOT_MODE_H_
#define DUMP_SESSION_SNAPSHOT_MODE_H_

#include <string>

#include "absl/status/status.h"
#include "dump/session/dump_options.h"

namespace dumpctl {

// Why memory of such a dump is not written beforehand (PreCopy), whatever the tree; empty where it
// may be.
std::string WhyNoPreCopy(const DumpOptions& options);

// Failure::kUsage where it, or copies, are asked for beside what rules them out.
absl::Status CheckSnapshotMode(const DumpOptions& options);

}  // namespace dumpctl

#endif  // DUMP_SESSION_SNAPSHOT_MODE_H_
