#ifndef DUMP_IMAGE_WRITE_BEHIND_H_
#define DUMP_IMAGE_WRITE_BEHIND_H_

#include <pthread.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/image/outlet.h"
#include "dump/image/page_stream.h"

namespace dumpctl {

// Writes to an outlet in order from a thread of its own, so that who has something to write goes on
// while a slow reader takes it: up to kMost bytes wait, and memory is bounded by that.
//
// Each call returns the first error that the outlet has met, or that `may_go_on` returns: it is
// asked while there is something to wait for.
class WriteBehind {
 public:
  // With what copies do not have (Snapshot) no more than 64 MiB.
  static constexpr size_t kMost = 48 << 20;

  static absl::StatusOr<std::unique_ptr<WriteBehind>> Start(
      Outlet outlet, std::function<absl::Status()> may_go_on);
  // What is not written yet never is.
  ~WriteBehind();
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;

  // Waits until there is room for it.
  absl::StatusOr<Block> Take();
  // Of a block in parts, what is framed before each.
  struct Part {
    std::string framed;
    size_t bytes = 0;
  };
  absl::Status Put(Block block, std::vector<Part> parts = {});
  absl::Status Put(std::string bytes);

  // Until all is written, and the reader has it (Outlet::AwaitTaken).
  absl::Status Finish();

 private:
  struct Item {
    std::string bytes;
    Block block;
    std::vector<Part> parts;  // empty: it is one
  };

  WriteBehind(Outlet outlet, std::function<absl::Status()> may_go_on)
      : outlet_(std::move(outlet)), may_go_on_(std::move(may_go_on)) {}

  static void* Run(void* self);
  void WriteAll();
  absl::Status Write(const Item& item);
  // Until ready() holds, with mutex_ held by `lock`.
  absl::Status Await(std::unique_lock<std::mutex>& lock, const std::function<bool()>& ready);

  Outlet outlet_;
  const std::function<absl::Status()> may_go_on_;
  pthread_t thread_ = {};
  bool started_ = false;
  std::mutex mutex_;  // holds the rest
  std::condition_variable changed_;
  std::deque<Item> items_;
  std::vector<Block> spare_;
  size_t held_ = 0;  // bytes of blocks that are out, and of what waits
  bool writing_ = false;
  bool ending_ = false;
  absl::Status status_;
};

}  // namespace dumpctl

#endif  // DUMP_IMAGE_WRITE_BEHIND_H_
