#ifndef DUMP_SESSION_DUMP_ENDING_H_
#define DUMP_SESSION_DUMP_ENDING_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "dump/session/dump_run.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/page_tracking.h"
#include "dump/session/target.h"
#include "dump/session/trace_file.h"

namespace dumpctl {

// What comes when the images of a dump, or pre-dump, stand. Nothing undoes them any more: what
// fails is told, and the target may be dead by now.

// Writes the trace of a dump that has ended so. That it cannot be written, or lacks what found no
// room, is told, and no more: the process may be dead, and a failure now would be taken for that of
// the dump.
void LeaveTrace(const DumpTrace& trace, const std::string& path, const TraceSubject& subject,
                const absl::Status& outcome, Log& log);

// Has what was watched kept for the next dump, and what this one supersedes freed. Without it the
// next dump writes all once more, and is as right.
void KeepTracking(DumpRun& run, PageTracking& tracking, const Target& root,
                  const std::string& run_id);

// What is left is to tell of it: in the report, in the statistics and in the pid file.
absl::Status TellOfDump(DumpRun& run, const TreeFacts& facts, const Target& root);

// The statistics, where there is a directory for them.
absl::Status WriteStatistics(DumpRun& run);

// Failure::kUnfinished, of a dump that is whole.
absl::Status Unfinished(const DumpRun& run, std::string_view what, const absl::Status& why);

// "was killed": what has become of the root, and could not be done with it.
const char* Fate(const DumpRun& run);
const char* FateToBe(Outcome outcome);

}  // namespace dumpctl

#endif  // DUMP_SESSION_DUMP_ENDING_H_
