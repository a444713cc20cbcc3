#include "dump/image/image_writer.h"

#include <climits>

#include "absl/strings/str_cat.h"

namespace dumpctl {
namespace {

void AppendLittleEndian(uint32_t value, std::string& bytes) {
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(value >> shift));
}

}  // namespace

ImageWriter::ImageWriter(ImageKind kind, uint32_t id) : kind_(kind), id_(id) {
  const ImageType& type = ImageTypeOf(kind);
  switch (type.head) {
    case ImageHead::kRaw:
      return;
    case ImageHead::kTypeOnly:
      break;
    case ImageHead::kCommon:
      AppendLittleEndian(kCommonMagic, bytes_);
      break;
    case ImageHead::kService:
      AppendLittleEndian(kServiceMagic, bytes_);
      break;
  }
  AppendLittleEndian(type.magic, bytes_);
}

absl::Status ImageWriter::Add(const google::protobuf::Message& entry) {
  if (!entry.IsInitialized()) {
    return absl::InternalError(
        absl::StrCat(name(), ": entry without ", entry.InitializationErrorString()));
  }
  const size_t size = entry.ByteSizeLong();
  if (size > static_cast<size_t>(INT_MAX)) {
    return absl::InternalError(absl::StrCat(name(), ": entry of ", size, " bytes"));
  }
  AppendLittleEndian(static_cast<uint32_t>(size), bytes_);
  entry.AppendPartialToString(&bytes_);
  return absl::OkStatus();
}

}  // namespace dumpctl
