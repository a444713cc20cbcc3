#ifndef DUMP_IMAGE_IMAGE_WRITER_H_
#define DUMP_IMAGE_IMAGE_WRITER_H_

#include <google/protobuf/message.h>

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "dump/image/image_table.h"

namespace dumpctl {

// Frames one image in memory: its head, then entries, each a 32-bit little-endian size and the
// message; raw payload follows the entry it belongs to.
class ImageWriter {
 public:
  explicit ImageWriter(ImageKind kind, uint32_t id = 0);

  // Internal when a required field is missing: such an image could not be read back.
  absl::Status Add(const google::protobuf::Message& entry);
  void AddPayload(std::string_view bytes) { bytes_.append(bytes); }

  // What was framed since the last time: for an image that is written piece by piece.
  std::string TakeBytes() { return std::exchange(bytes_, std::string()); }

  std::string name() const { return ImageName(kind_, id_); }
  const std::string& bytes() const { return bytes_; }

 private:
  ImageKind kind_;
  uint32_t id_;
  std::string bytes_;
};

}  // namespace dumpctl

#endif  // DUMP_IMAGE_IMAGE_WRITER_H_
