#ifndef DUMP_IMAGE_IMAGE_STREAMER_H_
#define DUMP_IMAGE_IMAGE_STREAMER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dump/image/image_sink.h"
#include "dump/image/page_stream.h"
#include "dump/image/waiting_room.h"
#include "dump/image/write_behind.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// The images of one dump, each through a pipe, to a streamer that waits for them as
// criu-image-streamer does: at the socket streamer-capture.sock of the images directory. As stock
// 4.1.1 does it (criu(8), --stream): for each image the dump sends a little-endian u32 size, as
// many bytes of a message with the image's name as its field 1, and a byte of zero that carries the
// pipe's end. Nothing is answered. The inventory comes last, when all else is written.
class ImageStreamer final : public ImageSink, public PageStream {
 public:
  // Errors: Failure::kPeer when nobody waits there, Failure::kImagesDir.
  static absl::StatusOr<std::unique_ptr<ImageStreamer>> Open(
      const std::string& directory, absl::Duration patience,
      std::function<absl::Status()> may_go_on);

  absl::Status Write(const ImageWriter& image) override;
  absl::StatusOr<std::unique_ptr<ImageFile>> CreateFile(const std::string& name,
                                                        uint64_t size) override;
  absl::StatusOr<PageSink> CreatePages(uint32_t pages_id) override;
  // When it returns without an error the streamer has taken all.
  absl::Status Commit(bool sync) override;

  absl::Status BeginPages(uint32_t pages_id, const PagesOwner& owner, uint64_t bytes) override;
  absl::StatusOr<Block> TakeBlock() override;
  absl::Status Put(std::span<const PageRun> runs, Block block) override;

 private:
  // An image on its way.
  struct Pipe {
    UniqueFd end;
    // Ends before its pipe is closed.
    std::unique_ptr<WriteBehind> writer;
  };
  class File;

  ImageStreamer(UniqueFd socket, absl::Duration patience, std::function<absl::Status()> may_go_on)
      : socket_(std::move(socket)), patience_(patience), may_go_on_(std::move(may_go_on)) {}

  absl::StatusOr<UniqueFd> Announce(const std::string& name) const;
  absl::StatusOr<Outlet> OutletOf(const UniqueFd& pipe, const std::string& name) const;
  absl::StatusOr<Pipe> Begin(const std::string& name) const;
  absl::Status Send(const std::string& name, const std::string& bytes) const;
  absl::Status FinishPages();

  UniqueFd socket_;
  absl::Duration patience_;
  std::function<absl::Status()> may_go_on_;
  std::string inventory_;
  // Of pages and of another image at once: what waits of pages is written while other images are.
  const std::shared_ptr<WaitingRoom> room_ = std::make_shared<WaitingRoom>();
  Pipe pages_;
};

}  // namespace dumpctl

#endif  // DUMP_IMAGE_IMAGE_STREAMER_H_
