#ifndef DUMP_IMAGE_DEDUP_H_
#define DUMP_IMAGE_DEDUP_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "dump/image/parent_images.h"

namespace dumpctl {

struct DedupCounts {
  uint64_t directories = 0;  // of previous images
  uint64_t pages = 0;        // that they do not hold any more
};

// Frees in the directories that `images_dir` builds upon what it, or one of them nearer to it, has
// written again: holes are punched into their pages files, which keep their sizes (fallocate(2)).
// What it builds upon stays; by themselves those directories cannot be restored any more, as
// criu(8) has it. Done again, or after it was cut short, it frees what is left.
//
// Not while another dump reads them, which may have counted on a page that is freed: `own` are
// those of the dump that frees, if it has them open, and kept alone then. Without it, they are
// opened.
//
// Errors: those of ParentDirectories and ParentImages::KeepAlone, with nothing freed; kBadImage for
// a pagemap that cannot be read, FailedPrecondition (kImagesDir) where the file system punches no
// holes.
absl::StatusOr<DedupCounts> DedupParents(const std::string& images_dir,
                                         const ParentImages* own = nullptr);

}  // namespace dumpctl

#endif  // DUMP_IMAGE_DEDUP_H_
