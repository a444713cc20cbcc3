#ifndef PROC_VMA_LIST_H_
#define PROC_VMA_LIST_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/remote_address.h"
#include "dumpctl/vma.h"
#include "proc/map_file_opener.h"
#include "proc/mapped_file_cache.h"

namespace dumpctl {

// Whether a mapping may borrow the file of `last_file_vma`, the file VMA kept before it (null:
// there is none). Pure. It may when it maps the same file under the same name, and there is a
// descriptor to lend, owned or itself borrowed. What lies between the two does not matter.
//
// The name is compared because dev:ino may coincide for two files: across mount namespaces
// (overlayfs before Linux 6.8 shows its lower layer's) and in the kernel's internal tmpfs
// (FileIdentity). And two names of one file are not equal to a restore: one may be deleted, the
// other not.
bool CanBorrow(const Vma* last_file_vma, const Mapping& mapping);

// All mappings of one task, each file among them opened once.
//
// A mapping of a file borrows the descriptor and the facts of the file VMA before it where
// CanBorrow says so, else of any earlier one the cache knows, and is opened only failing both. VMAs
// are never erased, and all descriptors go in one pass (Close), so an owner cannot go before its
// borrower. Over a tree of tasks, lists built with one cache borrow from each other: after the
// first Close no descriptor of any of them may be used. Facts stay valid always.
class VmaList {
 public:
  struct Counts {
    size_t vmas = 0;
    size_t opened = 0;
    size_t borrowed_from_previous = 0;
    size_t borrowed_from_cache = 0;  // an earlier place in this task, or another task
    OpenCounts calls;                // spent under map_files

    size_t borrowed() const { return borrowed_from_previous + borrowed_from_cache; }
  };
  struct CloseCounts {
    size_t closed = 0;   // owned
    size_t skipped = 0;  // borrowed
  };

  // Where to look beyond the previous file VMA.
  struct Shared {
    MappedFileCache* cache;    // must outlive the building, not the list
    uint64_t mount_namespace;  // inode number of the task's /proc/PID/ns/mnt
  };

  VmaList() = default;  // of no mappings
  // `mappings` as the parsers return them, ascending. Errors: the opener's. Without `shared` it
  // borrows from the previous file VMA only.
  static absl::StatusOr<VmaList> Build(std::vector<Mapping> mappings, MapFileOpener& opener,
                                       const Shared* shared = nullptr);

  VmaList(VmaList&&) noexcept = default;
  VmaList& operator=(VmaList&& other) noexcept;
  ~VmaList() { Close(); }

  // The close pass: releases every VMA's descriptor. Closing again does nothing and counts nothing.
  CloseCounts Close();

  // Adds VmFlags to a list that was built from maps: `flags` are of the same task (or of a copy of
  // it), read while nothing could change. DataLoss, and nothing is learnt, when they are of other
  // mappings.
  absl::Status LearnFlags(std::span<const MappingFlags> flags);

  // The same of Vma::untouched, for each in turn.
  void LearnUntouched(const std::function<bool(size_t)>& untouched);

  // Ascending by address.
  auto begin() const { return vmas_.begin(); }
  auto end() const { return vmas_.end(); }
  size_t size() const { return vmas_.size(); }
  bool empty() const { return vmas_.empty(); }
  const Vma& operator[](size_t i) const { return vmas_[i]; }

  // The VMA that holds the address; null if none does.
  const Vma* Find(RemoteAddress address) const;
  // The first VMA of a kind; null if there is none.
  const Vma* FindKind(VmaKind kind) const;

  const Counts& counts() const { return counts_; }

 private:
  static void Classify(Vma& vma);
  absl::Status Append(Mapping mapping, MapFileOpener& opener, const Shared* shared);
  absl::Status AttachFile(Vma& vma, MapFileOpener& opener, const Shared* shared);

  std::vector<Vma> vmas_;
  // While building: index of the last VMA of a file plus one; 0 for none yet. (The vector moves.)
  size_t last_file_vma_ = 0;
  Counts counts_;
  // Lives while the descriptors are open, so that the cache knows when they are not.
  std::shared_ptr<const void> lender_ = std::make_shared<char>();
};

}  // namespace dumpctl

#endif  // PROC_VMA_LIST_H_
