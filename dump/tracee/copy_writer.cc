#include "dump/tracee/copy_writer.h"

#include <limits.h>
#include <linux/close_range.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dumpctl/send_descriptor.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::StatusOr<int64_t> Check(int64_t result, const char* what) {
  if (result >= 0) return result;
  return absl::ErrnoToStatus(static_cast<int>(-result), absl::StrCat(what, " in a copy"));
}

// What recvmsg(2) is given in the copy, and fills in there.
struct Message {
  msghdr header;
  iovec piece;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control;
  char byte;
};

Message EmptyMessage(RemoteAddress at) {
  const auto remote = [at](size_t offset) {
    return reinterpret_cast<void*>((at + offset).value());
  };
  Message message = {};
  message.piece = {remote(offsetof(Message, byte)), 1};
  message.header.msg_iov = static_cast<iovec*>(remote(offsetof(Message, piece)));
  message.header.msg_iovlen = 1;
  message.header.msg_control = remote(offsetof(Message, control));
  message.header.msg_controllen = sizeof message.control;
  return message;
}

// What pieces are told with.
constexpr size_t kScratchSize = IOV_MAX * sizeof(iovec);

// Linux 5.9. Of a table that is closed as a whole nothing is copied.
absl::Status LeaveDescriptors(CopyCalls& calls) {
  ASSIGN_OR_RETURN(const int64_t result,
                   calls.Run(SYS_close_range, {0, ~0u, CLOSE_RANGE_UNSHARE, 0, 0, 0}));
  return Check(result, "close_range").status();
}

absl::StatusOr<RemoteAddress> MapScratch(CopyCalls& calls) {
  ASSIGN_OR_RETURN(const int64_t result,
                   calls.Run(SYS_mmap, {0, kScratchSize, PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS, ~uint64_t{0}, 0}));
  ASSIGN_OR_RETURN(const int64_t mapped, Check(result, "mmap"));
  return RemoteAddress(static_cast<uint64_t>(mapped));
}

absl::StatusOr<UniqueFd> TakeFrom(pid_t pid, int fd) {
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return absl::ErrnoToStatus(errno, "pidfd_open of a copy");
  UniqueFd taken(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
  if (!taken) return absl::ErrnoToStatus(errno, "pidfd_getfd of a copy");
  return taken;
}

}  // namespace

absl::StatusOr<CopyWriter> CopyWriter::Prepare(pid_t copy, const ProcDir& dir,
                                               const std::optional<RseqRegistration>& rseq) {
  ASSIGN_OR_RETURN(CopyCalls calls, CopyCalls::Prepare(copy, dir, rseq));
  RETURN_IF_ERROR(LeaveDescriptors(calls));
  ASSIGN_OR_RETURN(const RemoteAddress scratch, MapScratch(calls));
  return Connect(copy, std::move(calls), scratch, kScratchSize);
}

absl::StatusOr<CopyWriter> CopyWriter::PrepareBeside(pid_t copy, const ProcDir& dir,
                                                     RemoteAddress scratch, size_t size) {
  // The kernel registers no rseq area of who is made with CLONE_VM.
  ASSIGN_OR_RETURN(CopyCalls calls, CopyCalls::Prepare(copy, dir, std::nullopt));
  RETURN_IF_ERROR(LeaveDescriptors(calls));
  return Connect(copy, std::move(calls), scratch, size);
}

absl::StatusOr<CopyWriter> CopyWriter::AddThread(const ProcDir& dir) {
  ASSIGN_OR_RETURN(CopyCalls calls, calls_.StartThread(dir));
  ASSIGN_OR_RETURN(const RemoteAddress scratch, MapScratch(calls));
  return Connect(copy_, std::move(calls), scratch, kScratchSize);
}

absl::StatusOr<CopyWriter> CopyWriter::Connect(pid_t copy, CopyCalls calls, RemoteAddress scratch,
                                               size_t size) {
  ASSIGN_OR_RETURN(int64_t result, calls.Run(SYS_socketpair, {AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
                                                              scratch.value(), 0, 0}));
  RETURN_IF_ERROR(Check(result, "socketpair").status());
  using Pair = std::array<int, 2>;
  ASSIGN_OR_RETURN(const Pair pair, calls.memory().ReadValue<Pair>(scratch));
  ASSIGN_OR_RETURN(UniqueFd ours, TakeFrom(copy, pair[0]));
  const size_t most_pieces = std::min<size_t>(size / sizeof(iovec), IOV_MAX);
  return CopyWriter(copy, std::move(calls), scratch, most_pieces, pair[1], std::move(ours));
}

absl::StatusOr<int> CopyWriter::Receive() {
  const Message empty = EmptyMessage(scratch_);
  RETURN_IF_ERROR(calls_.memory().Write(scratch_, std::as_bytes(std::span(&empty, 1))));
  ASSIGN_OR_RETURN(const int64_t received,
                   calls_.Run(SYS_recvmsg, {static_cast<uint64_t>(socket_), scratch_.value(),
                                            MSG_DONTWAIT | MSG_CMSG_CLOEXEC, 0, 0, 0}));
  RETURN_IF_ERROR(Check(received, "recvmsg").status());
  ASSIGN_OR_RETURN(Message got, calls_.memory().ReadValue<Message>(scratch_));
  cmsghdr head;
  std::memcpy(&head, got.control.data(), sizeof head);
  if (got.header.msg_controllen < CMSG_LEN(sizeof(int)) || head.cmsg_type != SCM_RIGHTS) {
    return absl::InternalError("a copy was not given the file that was sent");
  }
  int number = -1;
  std::memcpy(&number, got.control.data() + CMSG_LEN(0), sizeof number);
  return number;
}

absl::Status CopyWriter::Take(BorrowedFd file) {
  if (const int had = std::exchange(file_, -1); had >= 0) {
    RETURN_IF_ERROR(calls_.Run(SYS_close, {static_cast<uint64_t>(had), 0, 0, 0, 0, 0}).status());
  }
  if (const int error = SendDescriptor(BorrowedFd(ours_), file); error != 0) {
    return absl::ErrnoToStatus(error, "giving a file to a copy");
  }
  ASSIGN_OR_RETURN(file_, Receive());
  return absl::OkStatus();
}

absl::Status CopyWriter::StartWrite(std::span<const iovec> pieces, uint64_t offset) {
  if (file_ < 0 || pieces.size() > most_pieces_) return absl::InternalError("a copy cannot write");
  if (pieces.size() == 1) {
    return calls_.Start(SYS_pwrite64, {static_cast<uint64_t>(file_),
                                       reinterpret_cast<uint64_t>(pieces.front().iov_base),
                                       pieces.front().iov_len, offset, 0, 0});
  }
  RETURN_IF_ERROR(calls_.memory().Write(scratch_, std::as_bytes(pieces)));
  return calls_.Start(
      SYS_pwritev, {static_cast<uint64_t>(file_), scratch_.value(), pieces.size(), offset, 0, 0});
}

absl::StatusOr<uint64_t> CopyWriter::FinishWrite() {
  ASSIGN_OR_RETURN(const int64_t result, calls_.Finish());
  ASSIGN_OR_RETURN(const int64_t written, Check(result, "pwritev"));
  return static_cast<uint64_t>(written);
}

absl::StatusOr<uint64_t> CopyWriter::Write(std::span<const iovec> pieces, uint64_t offset) {
  RETURN_IF_ERROR(StartWrite(pieces, offset));
  return FinishWrite();
}

}  // namespace dumpctl
