#ifndef DUMP_SESSION_CLOSE_PASS_H_
#define DUMP_SESSION_CLOSE_PASS_H_

#include "absl/status/status.h"
#include "dump/session/dump_run.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/preflight.h"
#include "proc/kernel_features.h"

namespace dumpctl {

// The close pass: no mapping of any task has a descriptor after it, owned or borrowed. Tells in the
// report how many had.
void CloseFiles(DumpRun& run, Preflight& preflight, TreeFacts& facts);

// Of a tree that runs again: closes copies of its descriptors. It may close them itself, and others
// wait for that.
absl::Status LetGoOfFiles(const KernelFeatures& features, TreeFacts& facts);

}  // namespace dumpctl

#endif  // DUMP_SESSION_CLOSE_PASS_H_
