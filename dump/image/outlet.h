#ifndef DUMP_IMAGE_OUTLET_H_
#define DUMP_IMAGE_OUTLET_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// A pipe, socket or file that is written in order. Whoever reads the other end may be slow, stand
// still or end: no call hangs for good in it.
class Outlet {
 public:
  // `fd` stays its owner's. `name` is what errors call it; `patience` is how long its reader may
  // take nothing. FailedPrecondition (Failure::kPeer) when nobody reads it.
  static absl::StatusOr<Outlet> Open(BorrowedFd fd, std::string name, absl::Duration patience);

  // Errors: Failure::kNoSpace, Failure::kPeer when the reader is gone, Failure::kTimeout when it
  // stands still, Cancelled after Stop.
  absl::Status Write(std::string_view bytes);
  // Has a Write of another thread return, and all later ones.
  void Stop();

  // Until the reader has taken all that was written: what waits in a pipe when its reader ends is
  // lost, and nobody is told. At once for what is no pipe and no socket. Errors: Write's.
  absl::Status AwaitTaken(const std::function<absl::Status()>& may_go_on);

 private:
  enum class Kind : uint8_t { kFile, kPipe, kSharedPipe, kSocket };

  Outlet(Kind kind, int fd, UniqueFd own, UniqueFd stop, std::string name, absl::Duration patience)
      : kind_(kind),
        fd_(fd),
        own_(std::move(own)),
        stop_(std::move(stop)),
        name_(std::move(name)),
        patience_(patience) {}

  ssize_t WriteSome(std::string_view bytes) const;
  absl::Status AwaitRoom() const;
  absl::Status Error(int error) const;
  absl::Status StoodStill() const;
  int Untaken() const;

  Kind kind_;
  int fd_;
  UniqueFd own_;  // fd_, where it is not the caller's
  UniqueFd stop_;
  std::string name_;
  absl::Duration patience_;
};

}  // namespace dumpctl

#endif  // DUMP_IMAGE_OUTLET_H_
