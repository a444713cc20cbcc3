#ifndef DUMP_SESSION_EXPLANATION_H_
#define DUMP_SESSION_EXPLANATION_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/session/dump_options.h"
#include "dumpctl/resource_refusal.h"

namespace dumpctl {

// What one process of the tree holds, as it was seen while it ran.
struct ExplainedTask {
  pid_t pid = 0;
  pid_t parent = 0;  // 0 for the root
  std::string comm;
  char state = 0;  // as in stat: R, S, D, T...
  size_t threads = 0;
  std::map<std::string, size_t> descriptors;  // how many of each type ("pipe", "regular file")
  uint64_t mappings = 0;
  uint64_t file_mappings = 0;
  uint64_t pages = 0;  // of 4 KiB, that would be saved
};

// What a dump would find, and do.
struct Explanation {
  std::vector<ExplainedTask> tasks;  // parents before their children
  uint64_t shared_pages = 0;         // of memory that processes share, saved once
  uint64_t repeated_pages = 0;       // of those of tasks, written once, by other tasks
  std::vector<std::string> images;   // see ForecastImages
  ResourceRefusals blockers;
};

// Looks a tree over as a dump does before it freezes anything, and freezes nothing. Errors: those
// of FindTree and RunPreflight.
absl::StatusOr<Explanation> Explain(const DumpOptions& options);

// The option that a blocker asks for ("--shell-job"); empty where no option helps. By agreement a
// remedy says "add --OPTION" exactly where an option is one.
std::string NeededOption(const ResourceRefusal& blocker);

}  // namespace dumpctl

#endif  // DUMP_SESSION_EXPLANATION_H_
