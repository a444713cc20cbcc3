#ifndef DUMP_SESSION_WRITE_ONCE_H_
#define DUMP_SESSION_WRITE_ONCE_H_

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/image/image_directory.h"
#include "dump/image/page_sink.h"
#include "dump/mm/memory_source.h"
#include "dump/mm/shared_pages.h"
#include "dump/session/dump_options.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/snapshot.h"
#include "dump/tracee/frozen_tree.h"

namespace dumpctl {

// Whether pages that tasks share are to be written once: asked for, into a directory, and nothing
// else claims the parent images, where they go.
bool WritesOnce(const DumpOptions& options, ImageSink& images);

// Whether large tasks are to be divided (DivideLarge), where pages may go into parent images. Not a
// stream, which takes one after the other, nor what is written past the page cache: the disk is
// slower than one of us.
bool DividesLarge(const DumpOptions& options);

// Fills facts.shared_pages, and leaves to each task the pages that are its own. While all stand.
absl::Status FindFamilies(const FrozenTree& tree, TreeFacts& facts);
// Then divides what large tasks have, of those whose pages are known; the others when they are.
void DivideTasks(TreeFacts& facts);

// Whether all tasks that a family's pages are to be read from have copies; or those of all
// families.
bool IsCopied(const PageFamily& family, const Snapshot& snapshot);
bool IsCopied(const SharedPages& shared, const Snapshot& snapshot);

// The pages of one family, each from the task that was chosen for it, or from its copy.
class FamilyMemory final : public MemorySource {
 public:
  // `tree`: null where all are copied, and the tasks may run on.
  static absl::StatusOr<FamilyMemory> Open(const FrozenTree* tree, const Snapshot& snapshot,
                                           const PageFamily& family);

  absl::Status Read(std::span<const PageRun> runs, std::span<std::byte> bytes) const override;

 private:
  FamilyMemory(const PageFamily& family, const Snapshot& snapshot)
      : family_(family), snapshot_(snapshot) {}

  size_t ReaderOf(const PageRun& run) const;

  const PageFamily& family_;
  const Snapshot& snapshot_;
  std::map<size_t, FrozenTaskMemory> readers_;  // without a copy, or not by it
};

// Its pages as runs, in the order in which they are written. None goes over the end of a stretch.
std::vector<PageRun> RunsOf(const PageFamily& family);

// The pagemaps of families, in the dump's own parent images: all members have the same.
struct FamilyPagemap {
  ImageWriter image;              // of the first member
  std::vector<std::string> also;  // the names of the others'
  size_t levels = 0;              // further up than the parent images
};
absl::StatusOr<std::vector<FamilyPagemap>> FamilyPagemaps(const TreeFacts& facts,
                                                          std::span<const PageSink> sinks);

}  // namespace dumpctl

#endif  // DUMP_SESSION_WRITE_ONCE_H_
