#ifndef DUMP_IMAGE_PAGE_STREAM_H_
#define DUMP_IMAGE_PAGE_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/image/page_run.h"
#include "dump/image/page_server_protocol.h"

namespace dumpctl {

// Memory that is filled by one thread and written by another.
struct Block {
  static constexpr size_t kSize = 1 << 20;

  std::unique_ptr<std::byte[]> bytes;
  size_t used = 0;
};

// Where pages go that have no file: in order, one object's behind the other's, by one thread at a
// time.
class PageStream {
 public:
  virtual ~PageStream() = default;

  // Whether the other end writes the pagemaps.
  virtual bool keeps_pagemaps() const { return false; }
  // The pages of `owner` come next, `bytes` in all.
  virtual absl::Status BeginPages(uint32_t pages_id, const PagesOwner& owner, uint64_t bytes) = 0;
  // These pages of it stand in the parent images; ascending. To be said next, where the other end
  // writes the pagemaps.
  virtual void LeaveToParent(std::span<const PageRun> /*runs*/) {}
  // To be filled with up to Block::kSize bytes of pages. Waits while too many are on their way.
  virtual absl::StatusOr<Block> TakeBlock() = 0;
  // What fills it: the pages of `runs`, ascending.
  virtual absl::Status Put(std::span<const PageRun> runs, Block block) = 0;
};

}  // namespace dumpctl

#endif  // DUMP_IMAGE_PAGE_STREAM_H_
