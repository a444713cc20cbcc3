#include "dump/image/page_server_protocol.h"

#include <limits>

#include "absl/strings/str_cat.h"

namespace dumpctl {
namespace {

constexpr uint64_t kTaskType = 1;
constexpr uint64_t kSharedType = 2;
constexpr int kTypeBits = 8;

void Append(uint64_t value, size_t bytes, std::string& to) {
  for (size_t i = 0; i < bytes; ++i) to.push_back(static_cast<char>(value >> 8 * i));
}

// Takes the number off the front.
uint64_t Cut(std::string_view& from, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(from[i]);
  from.remove_prefix(bytes);
  return value;
}

}  // namespace

std::string FormatHead(const PageServerHead& head, HeadSize size) {
  std::string bytes;
  Append(head.command, 2, bytes);
  Append(head.flags, 2, bytes);
  if (size == HeadSize::kNew) Append(0, 4, bytes);
  Append(head.pages, size == HeadSize::kNew ? 8 : 4, bytes);
  Append(head.address, 8, bytes);
  Append(head.object, 8, bytes);
  return bytes;
}

absl::StatusOr<PageServerHead> ParseHead(std::string_view bytes) {
  const bool is_new = bytes.size() == static_cast<size_t>(HeadSize::kNew);
  if (!is_new && bytes.size() != static_cast<size_t>(HeadSize::kOld)) {
    return absl::DataLossError(absl::StrCat("a head of ", bytes.size(), " bytes"));
  }
  PageServerHead head;
  head.command = static_cast<uint16_t>(Cut(bytes, 2));
  head.flags = static_cast<uint16_t>(Cut(bytes, 2));
  if (is_new && Cut(bytes, 4) != 0) return absl::DataLossError("a head with more than zeros in it");
  head.pages = Cut(bytes, is_new ? 8 : 4);
  head.address = Cut(bytes, 8);
  head.object = Cut(bytes, 8);
  return head;
}

HeadSize SizeOfFirstHead(std::string_view bytes) {
  return bytes.substr(16, 8) == std::string_view("\0\0\0\0\0\0\0\0", 8) ? HeadSize::kNew
                                                                        : HeadSize::kOld;
}

uint64_t ObjectOf(const PagesOwner& owner) {
  return uint64_t{owner.id} << kTypeBits |
         (owner.kind == ImageKind::kPagemap ? kTaskType : kSharedType);
}

absl::StatusOr<PagesOwner> OwnerOf(uint64_t object) {
  const uint64_t type = object & ((1 << kTypeBits) - 1);
  const uint64_t id = object >> kTypeBits;
  if ((type != kTaskType && type != kSharedType) || id == 0 ||
      id > std::numeric_limits<uint32_t>::max()) {
    return absl::DataLossError(absl::StrCat("pages of an object 0x", absl::Hex(object)));
  }
  return PagesOwner{type == kTaskType ? ImageKind::kPagemap : ImageKind::kSharedPagemap,
                    static_cast<uint32_t>(id)};
}

}  // namespace dumpctl
