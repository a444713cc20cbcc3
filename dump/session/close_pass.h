#ifndef DUMP_SESSION_CLOSE_PASS_H_
#define DUMP_SESSION_CLOSE_PASS_H_

#include "dump/session/dump_run.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/preflight.h"

namespace dumpctl {

// The close pass: no mapping of any task has a descriptor after it, owned or borrowed. Tells in the
// report how many had.
void CloseFiles(DumpRun& run, Preflight& preflight, TreeFacts& facts);

}  // namespace dumpctl

#endif  // DUMP_SESSION_CLOSE_PASS_H_
