#ifndef DUMP_IMAGE_IMAGE_READER_H_
#define DUMP_IMAGE_IMAGE_READER_H_

#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/image/image_table.h"

namespace dumpctl {

// Takes the frames of one image apart again: the way back of ImageWriter. Trusts nothing that the
// bytes say. Every error is DataLoss with Failure::kBadImage, and names the image and the offset in
// bytes at which it is wrong.
class ImageReader {
 public:
  struct Payload {
    std::string_view name;
    std::string_view bytes;
  };
  // What belongs to an entry and stands behind it.
  struct Part {
    std::unique_ptr<google::protobuf::Message> message;
    std::vector<Payload> payloads;
  };
  // Valid until the next call of Next.
  struct Entry {
    const google::protobuf::Message* message = nullptr;  // null at the end of the image
    std::vector<Payload> payloads;
    std::vector<Part> parts;
  };

  // `name` is for messages, and tells kinds apart that share a magic. `bytes` is the whole image
  // and outlives the reader. Raw images have no entries to read and are refused.
  static absl::StatusOr<ImageReader> Create(std::string name, std::string_view bytes);

  const ImageType& type() const { return *type_; }

  absl::StatusOr<Entry> Next();

 private:
  ImageReader(std::string name, std::string_view bytes, size_t at, const ImageType& type)
      : name_(std::move(name)), bytes_(bytes), at_(at), type_(&type) {}

  // One like `prototype`; `known` is what its memory is taken from, if it is such a one.
  absl::StatusOr<std::unique_ptr<google::protobuf::Message>> ReadMessage(
      const google::protobuf::Message& prototype, std::unique_ptr<google::protobuf::Message> known);
  absl::StatusOr<std::vector<Payload>> ReadPayloads(const google::protobuf::Message& message);
  absl::StatusOr<std::vector<Part>> ReadParts();

  std::string name_;
  std::string_view bytes_;
  size_t at_;
  const ImageType* type_;
  bool first_ = true;
  std::unique_ptr<google::protobuf::Message> message_;
};

// The whole of a file. NotFound or another errno's code when it cannot be read.
absl::StatusOr<std::string> ReadImageFile(const std::string& path);
// The same of one that nobody has asked for by its name, whatever it may be. DataLoss
// (Failure::kBadImage) where it is larger than an inventory, or a pagemap, ever is.
absl::StatusOr<std::string> ReadFoundImage(const std::string& path);

}  // namespace dumpctl

#endif  // DUMP_IMAGE_IMAGE_READER_H_
