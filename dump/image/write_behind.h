#ifndef DUMP_IMAGE_WRITE_BEHIND_H_
#define DUMP_IMAGE_WRITE_BEHIND_H_

#include <pthread.h>

#include <cstddef>
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
#include "dump/image/waiting_room.h"

namespace dumpctl {

// Writes to an outlet in order from a thread of its own, so that who has something to write goes on
// while a slow reader takes it: as much waits as there is room for, and memory is bounded by that.
//
// Each call returns the first error that the outlet has met, or that `may_go_on` returns: it is
// asked while there is something to wait for.
class WriteBehind {
 public:
  // `room` is for those that write at the same time to share.
  static absl::StatusOr<std::unique_ptr<WriteBehind>> Start(
      Outlet outlet, std::function<absl::Status()> may_go_on,
      std::shared_ptr<WaitingRoom> room = std::make_shared<WaitingRoom>());
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

  WriteBehind(Outlet outlet, std::function<absl::Status()> may_go_on,
              std::shared_ptr<WaitingRoom> room)
      : outlet_(std::move(outlet)), may_go_on_(std::move(may_go_on)), room_(std::move(room)) {}

  static void* Run(void* self);
  void WriteAll();
  absl::Status Write(const Item& item);
  // Of what waits no more. With the mutex held.
  void Leave(Item item);
  void GiveUp();  // all that waits
  // Until ready() holds, with the mutex held by `lock`.
  absl::Status Await(std::unique_lock<std::mutex>& lock, const std::function<bool()>& ready);

  Outlet outlet_;
  const std::function<absl::Status()> may_go_on_;
  pthread_t thread_ = {};
  bool started_ = false;
  const std::shared_ptr<WaitingRoom> room_;  // whose mutex holds the rest
  std::deque<Item> items_;
  bool writing_ = false;
  bool ending_ = false;
  absl::Status status_;
};

}  // namespace dumpctl

#endif  // DUMP_IMAGE_WRITE_BEHIND_H_
