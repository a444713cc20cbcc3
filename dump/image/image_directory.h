#ifndef DUMP_IMAGE_IMAGE_DIRECTORY_H_
#define DUMP_IMAGE_IMAGE_DIRECTORY_H_

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/image/image_sink.h"
#include "dump/image/image_writer.h"
#include "dump/image/output_file.h"
#include "dump/image/set_aside.h"
#include "dump/image/staging.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// By which another process can tell whether a dump stands: its inventory is in its place. Nothing
// but system calls.
struct CommitMark {
  UniqueFd directory;
  std::string inventory;
  ino_t inode = 0;

  bool Stands() const;
};

// A directory that is to hold one whole dump. Images are written into a hidden directory inside it
// and moved out together by Commit, the inventory last: a directory with an inventory holds one
// whole dump, always. Images of an earlier dump are replaced or removed then, never before.
//
// Where there are none, moving is half of the work of many small images: there they may be written
// in place, and the inventory alone comes there by Commit.
//
// A dump may bring parent images of its own: a directory "parent" in this one, where restorers look
// for pages that a pagemap says to be in the parent images (criu(8), --prev-images-dir). It comes
// and goes with the dump.
//
// Destroyed without Commit, it leaves nothing of its own behind; what a killed dump has left is
// removed when the next one begins, and what it has taken of an earlier dump is put back. (Images
// in place are so by an UnfinishedMark, which tells them from anybody else's; what it does not tell
// goes with the next Commit, as an earlier dump's do.)
class ImageDirectory final : public ImageSink {
 public:
  // Fails with Failure::kImagesDir when `path` is missing, no directory, not writable, or being
  // written to by another dump. Creates the hidden directory, so that nothing of this has to be
  // done while the target is frozen.
  static absl::StatusOr<ImageDirectory> Open(const std::string& path);
  // The same, of a directory in which images are written in place if it has none by now. Not for
  // pages alone, which no inventory tells to be whole, nor where others look at staging() or put
  // something there.
  static absl::StatusOr<ImageDirectory> OpenInPlace(const std::string& path);

  ImageDirectory(ImageDirectory&&) noexcept = default;
  ImageDirectory& operator=(ImageDirectory&&) = delete;
  ~ImageDirectory() override;

  // Creates an empty image for the caller to write (pages).
  absl::StatusOr<UniqueFd> Create(const std::string& name);
  // Writes a whole image. Failure::kNoSpace when the disk is full.
  absl::Status Write(const ImageWriter& image) override;
  absl::StatusOr<std::unique_ptr<ImageFile>> CreateFile(const std::string& name,
                                                        uint64_t size) override;
  absl::StatusOr<PageSink> CreatePages(uint32_t pages_id) override;
  ImageDirectory* directory() override { return this; }

  // Memory goes to a page server, which may keep it in this very directory: pages and pagemaps stay
  // when the images are committed. Failure::kImagesDir where there are some by now, for these would
  // be taken for the dump's.
  absl::Status LeavePages();
  // The link to the images that these build upon; a relative path counts from this directory.
  absl::Status LinkParent(const std::string& path);
  // The same among parent images of its own. The first makes their directory. Not where
  // can_have_parent() is false: something else than a dump's parent images stands in its place.
  absl::StatusOr<UniqueFd> CreateInParent(const std::string& name);
  absl::StatusOr<PageSink> CreatePagesInParent(uint32_t pages_id) override;
  absl::Status WriteInParent(const ImageWriter& image, std::span<const std::string> also) override;
  // Makes what is among the parent images by now the parent images of those that come. Of pages
  // files only, whose numbers differ.
  absl::Status DeepenParent();
  // The same as CreateInParent of those so many levels further up; makes what levels there are not.
  absl::StatusOr<UniqueFd> CreateInAncestor(size_t levels, const std::string& name);
  // The same image once more, by another name.
  absl::Status RepeatInAncestor(size_t levels, const std::string& name, const std::string& as);
  // Of levels that there are.
  absl::Status WriteInAncestor(size_t levels, const ImageWriter& image);
  bool can_have_parent() const override;

  // Where the images stand until they are committed.
  BorrowedFd staging() const { return staging_->fd(); }
  // What somebody else has put there is committed with them.
  absl::Status AdoptOthers();

  // For pages alone, of a dump whose other images go elsewhere. ExpectNoImages is
  // Failure::kImagesDir where there is any, for a mixture of two dumps would come about.
  absl::Status ExpectNoImages();
  absl::Status CommitPages(bool sync);

  // Of the inventory that was written.
  absl::StatusOr<CommitMark> Mark() const;

  // `sync`: the images are on the disk when it returns. After an error an earlier dump is as it
  // was; Internal, and nothing touched, when no inventory was written.
  absl::Status Commit(bool sync) override;

 private:
  ImageDirectory(std::string path, UniqueFd directory)
      : path_(std::move(path)), directory_(std::move(directory)) {}

  struct Opened;
  static absl::StatusOr<Opened> OpenLocked(const std::string& path);
  // What is in place of the new images, or an earlier dump's. An error where it cannot be replaced.
  absl::StatusOr<std::vector<std::string>> OldNames() const;
  bool has_parent() const;
  absl::Status AddParentLevel();
  absl::Status Replace(SetAside& earlier, bool sync);
  absl::Status MoveOut(const std::string& name);
  absl::Status MoveOutInventory(bool sync);
  void TakeBack();
  void PutBackEarlier();

  std::string path_;
  UniqueFd directory_;
  std::unique_ptr<Staging> staging_;
  std::vector<UniqueFd> parents_;  // in staging(), each in the one before; none before one is used
  std::vector<std::string> names_;
  std::vector<std::string> moved_;  // of these, out of where they were written
  bool leaves_pages_ = false;
};

}  // namespace dumpctl

#endif  // DUMP_IMAGE_IMAGE_DIRECTORY_H_
