#ifndef DUMP_SESSION_PAGE_TRACKING_H_
#define DUMP_SESSION_PAGE_TRACKING_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/image/image_directory.h"
#include "dump/image/page_sink.h"
#include "dump/image/parent_images.h"
#include "dump/mm/soft_dirty.h"
#include "dump/mm/write_watch.h"
#include "dump/session/dump_options.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/target.h"
#include "dump/session/tracking_holder.h"
#include "dump/tracee/frozen_tree.h"
#include "proc/kernel_features.h"

namespace dumpctl {

// Which pages of a tree stand in its parent images (--prev-images-dir), and what is done so that
// the next dump can tell that of this one's (--track-mem, pre-dump).
//
// Writes are watched (WriteWatch), or told of by soft-dirty bits where that is all the kernel has.
//
// A page is left to the parent images only when all of this is sure: its task is the very one that
// was watched since these images were made, and since no others were; nobody has written to it
// meanwhile; and they hold it. All else is written again. A task whose writes another tree's dumps
// have tracked is refused where it is to be tracked, as each would take from the other what was
// written.
//
// From the moment on when pages are protected for a new round, nothing is known of the old one: so
// what the holder has is taken from it before, and given to a new one when the new images stand.
// If we fail or die in between, nobody holds it, the watch ends, and the next dump writes all.
class PageTracking {
 public:
  // To be called early: see TrackingHolder::Start. Errors: Failure::kHost where this kernel cannot
  // track, Failure::kImagesDir as ParentImages::Open.
  static absl::StatusOr<PageTracking> Prepare(const DumpOptions& options,
                                              const KernelFeatures& features);

  PageTracking(PageTracking&&) noexcept = default;
  ~PageTracking();

  bool tracks() const { return holder_.has_value(); }
  // Whether Split takes all pages, while their tasks stand.
  bool splits() const { return tracks() || parent_.has_value(); }
  const ParentImages* parent() const { return parent_ ? &*parent_ : nullptr; }

  // What the parent images hold of these, which is read before they are frozen.
  absl::Status ReadParent(std::span<const Target> targets);

  // Memory goes to a page server, whose own parent images have pages of `known`: only of these can
  // anything be left to it. Which pages is known by those that hold what is tracked. Nothing: it
  // stays here.
  void SendTo(std::optional<std::set<pid_t>> known) { known_to_server_ = std::move(known); }

  // Once all stand, so that no other dump of them is under way, and before their maps are read:
  // finds out what is known since the parent images and, if tracks(), lets all their writes be
  // watched.
  absl::Status Watch(const FrozenTree& tree, const Target& root);

  // What of `pages` has to be written, and what stands in the parent images. With another round of
  // watching, if tracks().
  absl::Status Split(const FrozenTask& task, const VmaList& vmas, ScannedPages& pages);

  // What a page server was to be sent of a task, but for these (ascending), which could not be
  // read.
  void LeaveOut(pid_t pid, std::span<const PageRun> missed);

  // Once all are split: another round of soft-dirty bits, if tracks(). Not one by one, for tasks
  // may have their memory in common.
  absl::Status ClearBits(const FrozenTree& tree);

  // The images of `run_id` stand. Errors: nothing is tracked any more.
  absl::Status Keep(const Target& root, const std::string& run_id);

 private:
  // A task that is tracked from now on.
  struct Watched {
    pid_t pid = 0;
    uint64_t identity = 0;
    UniqueFd pidfd;
    std::optional<WriteWatch> watch;
    UniqueFd claim;  // and these by soft-dirty bits
    UniqueFd clear_refs;
    SoftDirtyRecord record;
  };
  // A task that was tracked since the parent images, and nobody else could have told of a write.
  struct Trusted {
    pid_t pid = 0;
    uint64_t identity = 0;
    SoftDirtyRecord record;
  };

  // `wanted`: whether anything is to be tracked, or was. The way is no matter otherwise.
  PageTracking(KernelFeatures features, bool wanted)
      : features_(features),
        way_(!wanted || features.Has(KernelFeature::kWriteWatch) ? TrackingWay::kWriteWatch
                                                                 : TrackingWay::kSoftDirty) {}

  absl::StatusOr<uint64_t> Identify(const FrozenTask& task, BorrowedFd pidfd) const;
  void Trust(const TrackedTree& found);
  absl::StatusOr<WriteWatch> WatchOf(const FrozenTask& task, TrackedTree& taken) const;
  absl::StatusOr<UniqueFd> ClaimOf(const Watched& task, TrackedTree& taken) const;
  absl::StatusOr<Watched> BeginToWatch(const FrozenTask& task, TrackedTree& taken) const;
  const Trusted* FindTrusted(pid_t pid, uint64_t identity) const;
  Watched* FindWatched(pid_t pid);
  absl::StatusOr<std::vector<AddressRange>> FindChanged(const FrozenTask& task, const VmaList& vmas,
                                                        const ScannedPages& pages,
                                                        const Trusted* trusted);
  // Of what `taken` has since the parent images.
  absl::Status LearnSent(const TrackedTree& taken);

  KernelFeatures features_;
  TrackingWay way_;
  std::optional<ParentImages> parent_;
  std::map<pid_t, std::vector<PageRun>> saved_;  // by the parent images
  std::optional<std::set<pid_t>> known_to_server_;
  std::map<pid_t, std::vector<PageRun>> sent_;  // or left, to a page server
  std::optional<TrackingHolder> holder_;
  std::vector<Trusted> since_parent_;
  std::vector<Watched> watched_;
};

// Ends the tracking of a tree; whether there was any.
absl::StatusOr<bool> EndTracking(const Target& root, const KernelFeatures& features);

}  // namespace dumpctl

#endif  // DUMP_SESSION_PAGE_TRACKING_H_
