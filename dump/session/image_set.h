#ifndef DUMP_SESSION_IMAGE_SET_H_
#define DUMP_SESSION_IMAGE_SET_H_

#include <google/protobuf/message.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "dump/fd/file_table.h"
#include "dump/image/image_writer.h"
#include "dumpctl/resource_refusal.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {

// The images of a dump while they are built, but the pages files.
struct ImageSet {
  FileTable files;
  std::vector<ImageWriter> images;
  // Those of `files` aside.
  ResourceRefusals refusals;

  void Add(ImageWriter image) { images.push_back(std::move(image)); }

  // An image of one entry.
  absl::Status AddOne(ImageKind kind, uint32_t id, const google::protobuf::Message& entry) {
    ImageWriter image(kind, id);
    RETURN_IF_ERROR(image.Add(entry));
    Add(std::move(image));
    return absl::OkStatus();
  }

  // An image of many.
  template <typename Entries>
  absl::Status AddAll(ImageKind kind, uint32_t id, const Entries& entries) {
    ImageWriter image(kind, id);
    for (const auto& entry : entries) RETURN_IF_ERROR(image.Add(entry));
    Add(std::move(image));
    return absl::OkStatus();
  }

  // The same of entries each of which has `bytes` behind it. None at all is no image: criu writes
  // none then.
  template <typename List>
  absl::Status AddWithPayloads(ImageKind kind, const List& list, uint32_t id = 0) {
    if (list.empty()) return absl::OkStatus();
    ImageWriter image(kind, id);
    for (const auto& each : list) {
      RETURN_IF_ERROR(image.Add(each.entry));
      image.AddPayload(each.bytes);
    }
    Add(std::move(image));
    return absl::OkStatus();
  }

  void Refuse(const ResourceRefusals& refused) {
    refusals.insert(refusals.end(), refused.begin(), refused.end());
  }
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_IMAGE_SET_H_
