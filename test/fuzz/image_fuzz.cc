#include "dump/image/image_reader.h"
#include "dump/image/parent_images.h"
#include "dumpctl/failure.h"
#include "test/fuzz/check.h"

namespace dumpctl {
namespace {

void RequireBadImage(const absl::Status& status) {
  Require(status.code() == absl::StatusCode::kDataLoss && FailureOf(status) == Failure::kBadImage);
}

// Reads all entries of an image by one of the names that its magic may have.
void ReadAll(const std::string& name, std::string_view bytes) {
  auto reader = ImageReader::Create(name, bytes);
  if (!reader.ok()) return RequireBadImage(reader.status());
  // What an entry holds was taken out of the image, and every entry takes four bytes at least.
  uint64_t taken = 0;
  for (;;) {
    const auto entry = reader->Next();
    if (!entry.ok()) return RequireBadImage(entry.status());
    if (entry->message == nullptr) return;
    taken += sizeof(uint32_t);
    for (const ImageReader::Payload& payload : entry->payloads) taken += payload.bytes.size();
    Require(taken <= bytes.size());
    Require(entry->message->IsInitialized());
  }
}

// What is read of a pagemap ascends.
void ReadRuns(std::string_view bytes) {
  const auto pagemap = ReadPagemap("pagemap-1.img", bytes);
  if (!pagemap.ok()) return RequireBadImage(pagemap.status());
  for (size_t i = 1; i < pagemap->runs.size(); ++i) {
    const SavedPages& before = pagemap->runs[i - 1];
    Require(before.start + before.pages * 4096 <= pagemap->runs[i].start);
  }
}

}  // namespace
}  // namespace dumpctl

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = dumpctl::TextOf(data, size);
  dumpctl::ReadAll("image", bytes);
  dumpctl::ReadRuns(bytes);
  const auto reader = dumpctl::ImageReader::Create("image", bytes);
  if (!reader.ok()) return 0;
  for (const dumpctl::ImageType& type : dumpctl::ImageTypes()) {
    if (type.magic != reader->type().magic || type.kind == reader->type().kind) continue;
    dumpctl::ReadAll(dumpctl::ImageName(type.kind, 1), bytes);
  }
  return 0;
}
