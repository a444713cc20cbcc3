#ifndef DUMP_IMAGE_IMAGE_SINK_H_
#define DUMP_IMAGE_IMAGE_SINK_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/image/image_writer.h"

namespace dumpctl {

class ImageDirectory;
class PageSink;

// An image that is written piece by piece, while no other one is.
class ImageFile {
 public:
  virtual ~ImageFile() = default;
  virtual absl::Status Append(std::string_view bytes) = 0;
};

// Where the images of one dump go. They stand, all together, when Commit has returned; destroyed
// before, it leaves no dump behind.
class ImageSink {
 public:
  virtual ~ImageSink() = default;

  // Writes a whole image.
  virtual absl::Status Write(const ImageWriter& image) = 0;
  // An image of exactly `size` bytes.
  virtual absl::StatusOr<std::unique_ptr<ImageFile>> CreateFile(const std::string& name,
                                                                uint64_t size) = 0;
  // `pages_id` numbers the pages of one object in the dump.
  virtual absl::StatusOr<PageSink> CreatePages(uint32_t pages_id) = 0;

  // Parent images of the dump's own, a directory "parent" among the images: see ImageDirectory. Not
  // where can_have_parent() is false.
  virtual bool can_have_parent() const { return false; }
  // Their pages files have numbers of their own.
  virtual absl::StatusOr<PageSink> CreatePagesInParent(uint32_t pages_id);
  // `also`: more names of the same image.
  virtual absl::Status WriteInParent(const ImageWriter& image, std::span<const std::string> also);

  // `sync`: the images are on the disk when it returns, if they go to one. Internal when no
  // inventory was written.
  virtual absl::Status Commit(bool sync) = 0;

  // Null unless they go into a directory.
  virtual ImageDirectory* directory() { return nullptr; }
};

}  // namespace dumpctl

#endif  // DUMP_IMAGE_IMAGE_SINK_H_
