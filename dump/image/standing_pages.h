#ifndef DUMP_IMAGE_STANDING_PAGES_H_
#define DUMP_IMAGE_STANDING_PAGES_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/image/page_run.h"

namespace dumpctl {

// Of the pages that a pagemap tells of, those whose bytes are there.
struct StandingPages {
  std::vector<PageRun> runs;  // ascending, none touching the next
  bool whole = false;         // they are all
};

// Looks for them where a restore does: in the pages file of `directory`, and, of what its pagemap
// `name` leaves to its parent images, in theirs. A page in which there is a hole is not there: who
// has dumped a part of the tree upon the same images may have freed it (DedupParents), which
// leaves pagemaps as they are. Nothing where there is no such pagemap.
//
// Errors: those of ParentDirectories, Failure::kBadImage for a pagemap that cannot be read.
absl::StatusOr<std::optional<StandingPages>> StandingPagesOf(const std::string& directory,
                                                             const std::string& name);

}  // namespace dumpctl

#endif  // DUMP_IMAGE_STANDING_PAGES_H_
