#ifndef DUMP_IMAGE_PAGE_SERVER_CLIENT_H_
#define DUMP_IMAGE_PAGE_SERVER_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dump/image/page_server_protocol.h"
#include "dump/image/page_stream.h"
#include "dump/image/write_behind.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// Where a page server listens: an address of IPv4 or IPv6, by numbers.
struct ServerPlace {
  std::string address;
  uint16_t port = 0;
};

// What a dump wants to know of the server's parent images: whether they have pages of these, and
// are of the dump with that RunMark. A stock server takes whatever images it was given for them.
struct ParentQuestion {
  uint64_t run_mark = 0;
  std::vector<PagesOwner> owners;
};

// Sends pages to a page server of criu(8), which keeps them and their pagemaps.
class PageServerClient final : public PageStream {
 public:
  // Connects, and finds out which heads the server takes: it is sent the short form of the one that
  // opens the pages of `first`, which an old server answers at once, and after a while of silence
  // what is missing of the long form. A wrong guess makes the server fail, and is an error here.
  // Then it is asked `question`, all at once. Errors: Failure::kPeer, Failure::kUsage for a bad
  // address, Failure::kTimeout.
  static absl::StatusOr<std::unique_ptr<PageServerClient>> Connect(
      const ServerPlace& place, const PagesOwner& first, const ParentQuestion& question,
      absl::Duration patience, std::function<absl::Status()> may_go_on);

  bool keeps_pagemaps() const override { return true; }
  // Whether its parent images have pages of that one, if it was asked.
  bool HasInParent(const PagesOwner& owner) const { return in_parent_.contains(ObjectOf(owner)); }
  absl::Status BeginPages(uint32_t pages_id, const PagesOwner& owner, uint64_t bytes) override;
  void LeaveToParent(std::span<const PageRun> runs) override { left_ = {runs.begin(), runs.end()}; }
  absl::StatusOr<Block> TakeBlock() override;
  absl::Status Put(std::span<const PageRun> runs, Block block) override;

  // All has been sent, of the dump with that RunMark. When it returns without an error the server
  // has said that it has all. That may take it long, if it is to be on a disk then: as long as the
  // connection stands it is waited for.
  absl::Status Finish(uint64_t run_mark);

 private:
  PageServerClient(UniqueFd socket, std::string name, absl::Duration patience,
                   std::function<absl::Status()> may_go_on)
      : socket_(std::move(socket)),
        name_(std::move(name)),
        patience_(patience),
        may_go_on_(std::move(may_go_on)) {}

  // Whether it comes within that time. may_go_on_ is asked meanwhile.
  absl::StatusOr<bool> AwaitAnswer(absl::Duration patience) const;
  // `patience`: for each piece of it.
  absl::Status ReadAnswer(char* bytes, size_t size, absl::Duration patience) const;
  absl::Status AskForHeads(const PagesOwner& first);
  absl::Status AskForParents(const ParentQuestion& question);
  std::string AddHead(const PageRun& run, uint16_t flags) const;
  // Heads of what is left to the parent images below `address`.
  std::string LeftBelow(RemoteAddress address);
  absl::Status Silent() const;
  absl::Status Ended(int error) const;

  UniqueFd socket_;
  std::string name_;
  absl::Duration patience_;
  std::function<absl::Status()> may_go_on_;
  HeadSize heads_ = HeadSize::kOld;
  uint64_t open_ = 0;      // object whose pages are sent
  size_t unanswered_ = 0;  // opens
  std::set<uint64_t> in_parent_;
  std::vector<PageRun> left_;  // to the parent images, of open_
  size_t said_ = 0;            // of left_
  std::unique_ptr<WriteBehind> writer_;
};

}  // namespace dumpctl

#endif  // DUMP_IMAGE_PAGE_SERVER_CLIENT_H_
