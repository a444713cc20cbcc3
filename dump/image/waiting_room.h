#ifndef DUMP_IMAGE_WAITING_ROOM_H_
#define DUMP_IMAGE_WAITING_ROOM_H_

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "dump/image/page_stream.h"

namespace dumpctl {

// Memory for what waits to be written, of all who write at the same time: kMost bytes, blocks that
// are kept for use again among them. To be called with the mutex held; who leaves notifies.
class WaitingRoom {
 public:
  // With what copies do not have (Snapshot) no more than 64 MiB.
  static constexpr size_t kMost = 48 << 20;

  // One alone may be larger: it is in memory already.
  bool HasRoomFor(size_t bytes) const { return held_ == 0 || held_ + bytes <= kMost; }

  void Enter(size_t bytes) {
    held_ += bytes;
    while (!spare_.empty() && this->bytes() > kMost) spare_.pop_back();
  }
  void Leave(size_t bytes) { held_ -= bytes; }

  Block TakeBlock() {
    Block block;
    if (spare_.empty()) {
      block.bytes = std::make_unique_for_overwrite<std::byte[]>(Block::kSize);
    } else {
      block = std::move(spare_.back());
      spare_.pop_back();
      block.used = 0;
    }
    Enter(Block::kSize);
    return block;
  }
  void GiveBack(Block block) {
    Leave(Block::kSize);
    spare_.push_back(std::move(block));
  }

  // In memory, whether it waits, is being filled, or is kept.
  size_t bytes() const { return held_ + spare_.size() * Block::kSize; }

  std::mutex mutex;
  std::condition_variable changed;

 private:
  size_t held_ = 0;  // of blocks that are out, and of what waits
  std::vector<Block> spare_;
};

}  // namespace dumpctl

#endif  // DUMP_IMAGE_WAITING_ROOM_H_
