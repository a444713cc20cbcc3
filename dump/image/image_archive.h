#ifndef DUMP_IMAGE_IMAGE_ARCHIVE_H_
#define DUMP_IMAGE_IMAGE_ARCHIVE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dump/image/image_sink.h"
#include "dump/image/page_stream.h"
#include "dump/image/write_behind.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// One whole dump as a tar archive, written while it is made: to standard output, or into a file.
// The inventory is its last entry and is not written before Commit, so that an archive without it,
// or without its end, is no dump.
//
// Up to WaitingRoom::kMost bytes wait for a slow reader. Who has more to write waits for it, and a
// reader that takes nothing for `patience` ends the dump.
class ImageArchive final : public ImageSink, public PageStream {
 public:
  // `path` is "-" for standard output. A regular file stands in its place, whole, after Commit, and
  // what was there before until then; anything else is written to. Errors: Failure::kUsage for a
  // terminal, Failure::kImagesDir, Failure::kPeer.
  static absl::StatusOr<std::unique_ptr<ImageArchive>> Open(
      const std::string& path, absl::Duration patience, std::function<absl::Status()> may_go_on);
  ~ImageArchive() override;

  absl::Status Write(const ImageWriter& image) override;
  absl::StatusOr<std::unique_ptr<ImageFile>> CreateFile(const std::string& name,
                                                        uint64_t size) override;
  absl::StatusOr<PageSink> CreatePages(uint32_t pages_id) override;
  bool can_have_parent() const override { return true; }
  absl::StatusOr<PageSink> CreatePagesInParent(uint32_t pages_id) override;
  absl::Status WriteInParent(const ImageWriter& image, std::span<const std::string> also) override;
  // When it returns without an error the reader of a pipe has taken all of it.
  absl::Status Commit(bool sync) override;

  absl::Status BeginPages(uint32_t pages_id, const PagesOwner& owner, uint64_t bytes) override;
  absl::StatusOr<Block> TakeBlock() override;
  absl::Status Put(std::span<const PageRun> runs, Block block) override;

 private:
  class File;

  // Of parent images: the same stream, with names in their directory.
  class ParentPages final : public PageStream {
   public:
    explicit ParentPages(ImageArchive& archive) : archive_(archive) {}
    absl::Status BeginPages(uint32_t pages_id, const PagesOwner& owner, uint64_t bytes) override;
    absl::StatusOr<Block> TakeBlock() override { return archive_.TakeBlock(); }
    absl::Status Put(std::span<const PageRun> runs, Block block) override {
      return archive_.Put(runs, std::move(block));
    }

   private:
    ImageArchive& archive_;
  };

  ImageArchive(std::string path, std::string temporary, UniqueFd file, bool replaces)
      : path_(std::move(path)),
        temporary_(std::move(temporary)),
        file_(std::move(file)),
        replaces_(replaces) {}

  absl::Status BeginPagesFile(const std::string& name, uint64_t bytes);
  absl::Status PutWhole(const std::string& name, const std::string& bytes);
  absl::Status FinishFile(bool sync);

  std::string path_;
  std::string temporary_;  // what a regular file is called until then; empty where it has no name
  UniqueFd file_;          // none for standard output
  bool replaces_;          // it takes the place of what is at path_, if there is anything
  std::string inventory_;
  ParentPages parent_pages_{*this};
  // Ends before the file is closed.
  std::unique_ptr<WriteBehind> writer_;
};

// What errors and reports call an archive at `path`.
std::string ArchiveName(const std::string& path);

}  // namespace dumpctl

#endif  // DUMP_IMAGE_IMAGE_ARCHIVE_H_
