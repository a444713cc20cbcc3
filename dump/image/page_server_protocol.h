#ifndef DUMP_IMAGE_PAGE_SERVER_PROTOCOL_H_
#define DUMP_IMAGE_PAGE_SERVER_PROTOCOL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "dump/image/image_table.h"

namespace dumpctl {

// What passes between a dump and a page server of criu(8), as seen on the wire between stock 4.1.1
// and 4.2.1 and themselves. The dump sends heads, little-endian: 24 bytes (u32 command and flags,
// u32 pages, u64 address, u64 object) until 4.1, 32 from 4.2 on (u32 command and flags, u32 of
// zero, u64 pages, u64 address, u64 object). Pages follow the head that announces them; what stands
// in the server's parent images is announced alone, and the server ends when these do not hold it.
// The server answers each kOpen with one byte, 1 where its parent images have a pagemap of that
// object and 0 else, kAskParent with an i32 that says the same, and kClose with an i32, 0 when all
// is well. What kAskParent and kClose have for an address it does not look at: see RunMark.
enum class HeadSize : size_t { kOld = 24, kNew = 32 };

struct PageServerHead {
  static constexpr uint16_t kOpen = 4;  // what follows is of this object
  static constexpr uint16_t kAskParent = 5;
  static constexpr uint16_t kAdd = 6;  // pages, which follow where they are present
  static constexpr uint16_t kClose = 0x1023;
  // Of kAdd, as in pagemap_entry.
  static constexpr uint16_t kParent = 1 << 0;
  static constexpr uint16_t kLazy = 1 << 1;
  static constexpr uint16_t kPresent = 1 << 2;

  uint16_t command = 0;
  uint16_t flags = 0;
  uint64_t pages = 0;
  uint64_t address = 0;
  uint64_t object = 0;

  friend bool operator==(const PageServerHead&, const PageServerHead&) = default;
};

std::string FormatHead(const PageServerHead& head, HeadSize size);
// `bytes` are as many as one of the sizes says. DataLoss when they are no head.
absl::StatusOr<PageServerHead> ParseHead(std::string_view bytes);

// Which size a peer speaks whose first head, a kOpen, begins with these 24 bytes: of the longer one
// they are all but the object, and no object is 0.
HeadSize SizeOfFirstHead(std::string_view bytes);

// Whose pages: the pagemap's kind (kPagemap, kSharedPagemap) and number.
struct PagesOwner {
  ImageKind kind = ImageKind::kPagemap;
  uint32_t id = 0;

  friend bool operator==(const PagesOwner&, const PagesOwner&) = default;
};
uint64_t ObjectOf(const PagesOwner& owner);
// DataLoss for what is none.
absl::StatusOr<PagesOwner> OwnerOf(uint64_t object);

}  // namespace dumpctl

#endif  // DUMP_IMAGE_PAGE_SERVER_PROTOCOL_H_
