#ifndef DUMP_SESSION_TASK_IMAGES_H_
#define DUMP_SESSION_TASK_IMAGES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/image/image_writer.h"
#include "dump/image/page_sink.h"
#include "dump/session/dump_report.h"
#include "dump/session/frozen_facts.h"
#include "dumpctl/resource_refusal.h"

namespace dumpctl {

// All images of a dump but the pages file, the inventory last. When anything is refused the images
// say nothing.
struct TaskImages {
  std::vector<ImageWriter> images;
  ResourceRefusals refusals;
};

// Turns what was read into images. The task may run again, or be dead.
absl::StatusOr<TaskImages> BuildImages(const FrozenFacts& facts, const PageSink& sink,
                                       const KernelFeatures& features);

// stats-dump, for people and for tools that show it.
absl::StatusOr<ImageWriter> StatsImage(const DumpReport& report);

}  // namespace dumpctl

#endif  // DUMP_SESSION_TASK_IMAGES_H_
