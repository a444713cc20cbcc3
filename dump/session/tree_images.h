#ifndef DUMP_SESSION_TREE_IMAGES_H_
#define DUMP_SESSION_TREE_IMAGES_H_

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/fd/file_table.h"
#include "dump/image/page_sink.h"
#include "dump/session/dump_report.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/write_once.h"
#include "dumpctl/resource_refusal.h"

namespace dumpctl {

// All images of a dump but the pages files, the inventory last. When anything is refused the images
// say nothing.
struct TreeImages {
  std::vector<ImageWriter> images;
  std::vector<FamilyPagemap> family_pagemaps;
  ResourceRefusals refusals;
  // Names that a restore needs besides.
  std::vector<FileTable::Link> links;
};

// Turns what was read into images; `sinks` are DrainTree's. The tasks
// may run again, or be dead.
absl::StatusOr<TreeImages> BuildImages(const TreeFacts& facts, std::span<const PageSink> sinks,
                                       const KernelFeatures& features, const DumpOptions& options);

// The inventory of a pre-dump, which holds nothing but pages: only the run is told.
absl::StatusOr<ImageWriter> PreDumpInventory(const std::string& run_id);

// stats-dump, for people and for tools that show it.
absl::StatusOr<ImageWriter> StatsImage(const DumpReport& report);

}  // namespace dumpctl

#endif  // DUMP_SESSION_TREE_IMAGES_H_
