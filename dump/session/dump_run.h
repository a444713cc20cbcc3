#ifndef DUMP_SESSION_DUMP_RUN_H_
#define DUMP_SESSION_DUMP_RUN_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "dump/mm/page_drainer.h"
#include "dump/session/dump_options.h"
#include "dump/session/dump_report.h"
#include "dump/session/fault_points.h"
#include "dumpctl/log.h"

namespace dumpctl {

// What all phases of one dump, or pre-dump, have to do with: what it was asked, whether it may go
// on, and what is told of it, meanwhile and at the end.
struct DumpRun {
  const DumpOptions& options;
  Log& log;
  const FaultPoints faults;
  DumpReport report;

  // Before each step until the images are committed; from then on a dump is completed, and steps
  // are reached alone.
  absl::Status Begin(std::string_view step) const;
  // Tells, and reports, what cannot be written while the tree runs.
  void FallBack(std::string why);
  // While memory is written.
  DrainProgress MemoryProgress() const;

  // The tree runs on before its images are written. Scripts find it standing still.
  bool runs_early() const;

  // Where the images go, by name.
  std::string Destination() const;
  // Of logs and statistics. Empty where there is none: an archive needs none.
  const std::string& WorkDirectory() const;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_DUMP_RUN_H_
