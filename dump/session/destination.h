#ifndef DUMP_SESSION_DESTINATION_H_
#define DUMP_SESSION_DESTINATION_H_

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/image/image_sink.h"
#include "dump/image/page_server_client.h"
#include "dump/image/page_sink.h"
#include "dump/image/parent_images.h"
#include "dump/session/dump_run.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/tree_images.h"

namespace dumpctl {

// Where one dump goes: a directory, an archive or a streamer, and maybe a page server beside it.
// Opened before the freeze, as far as it is known by then what there will be. Images that are not
// committed go with the object.
class Destination {
 public:
  // `parent`: the images that these build upon, or null. `pids` are those of the tree as far as it
  // is known, the root's the first, whose memory a page server is told to expect first. Looks also
  // at what else is written at the end. `run` must outlive it.
  static absl::StatusOr<Destination> Open(DumpRun& run, const ParentImages* parent,
                                          std::span<const pid_t> pids);

  // Who of these has pages in the parent images of the page server; nothing where there is none.
  std::optional<std::set<pid_t>> KnownToServer(std::span<const pid_t> pids) const;

  ImageSink& images() const { return *images_; }
  // Of memory: in the order that DrainTree says.
  std::span<PageSink> sinks() { return sinks_; }

  // Sinks for so many tasks and objects of shared memory. Which they are is known when all stand.
  absl::Status OpenSinks(size_t tasks);
  // Those that are needed in the end, also for those that have come since; and, right behind, for
  // families, among the parent images. Some tasks of the tree that was looked over may be no more.
  // Once more where families were found since.
  absl::Status OpenSinks(const TreeFacts& facts);

  // One more among the parent images.
  absl::StatusOr<PageSink> OpenInParent();

  // Enters the pages that stand in the parent images: behind those that were written.
  void AccountInParent(const TreeFacts& facts);
  absl::Status Write(const TreeImages& images);
  // All images of that run are written: they stand when it returns.
  absl::Status Commit(std::string_view run_id);

 private:
  Destination(DumpRun& run, std::unique_ptr<ImageSink> images,
              std::unique_ptr<PageServerClient> page_server)
      : run_(run), page_server_(std::move(page_server)), images_(std::move(images)) {}

  DumpRun& run_;
  std::unique_ptr<PageServerClient> page_server_;  // none where pages go beside the images
  std::unique_ptr<ImageSink> images_;
  std::vector<PageSink> sinks_;
  size_t families_ = 0;     // that the last of them are for
  uint32_t in_parent_ = 0;  // opened there, for families and others
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_DESTINATION_H_
