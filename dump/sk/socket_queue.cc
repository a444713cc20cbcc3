#include "dump/sk/socket_queue.h"

#include <poll.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// Room for SCM_MAX_FD descriptors (253), credentials, and a label of a security module.
constexpr size_t kControlSize = 8 << 10;

struct Peeked {
  QueuedPacket packet;
  size_t length = 0;  // of the whole packet, however much of it was asked for
  bool nothing = false;
};

absl::Status TakeControl(msghdr& message, QueuedPacket& packet) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr;
       control = CMSG_NXTHDR(&message, control)) {
    const unsigned char* data = CMSG_DATA(control);
    const size_t size = control->cmsg_len - CMSG_LEN(0);
    if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS) {
      for (size_t at = 0; at + sizeof(int) <= size; at += sizeof(int)) {
        int file;
        std::memcpy(&file, data + at, sizeof file);
        packet.files.emplace_back(file);
      }
    } else if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_CREDENTIALS &&
               size >= sizeof(ucred)) {
      std::memcpy(&packet.credentials.emplace(), data, sizeof(ucred));
    } else {
      packet.unknown_controls.push_back(control->cmsg_type);
    }
  }
  // Also when there was no room for all the descriptors in our own table.
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    return MakeFailure(Failure::kHost, absl::StatusCode::kResourceExhausted,
                       "dumpctl may not have as many files open as wait in the queue of a socket; "
                       "raise its RLIMIT_NOFILE (ulimit -n)");
  }
  return absl::OkStatus();
}

// As many bytes from SO_PEEK_OFF on as there is `room` for: what is kept of them takes no more.
absl::StatusOr<Peeked> PeekInto(BorrowedFd socket, std::span<char> room) {
  Peeked peeked;
  iovec bytes = {room.data(), room.size()};
  sockaddr_un source = {};
  alignas(cmsghdr) char control[kControlSize];
  msghdr message = {.msg_name = &source,
                    .msg_namelen = sizeof source,
                    .msg_iov = &bytes,
                    .msg_iovlen = 1,
                    .msg_control = control,
                    .msg_controllen = sizeof control};
  ssize_t got;
  do {
    got = recvmsg(socket.get(), &message, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) {
    if (errno != EAGAIN) return absl::ErrnoToStatus(errno, "peeking into the queue of a socket");
    peeked.nothing = true;
    return peeked;
  }
  RETURN_IF_ERROR(TakeControl(message, peeked.packet));
  peeked.length = static_cast<size_t>(got);
  peeked.packet.bytes.assign(room.data(), std::min(room.size(), peeked.length));
  if (message.msg_namelen > offsetof(sockaddr_un, sun_path)) {
    peeked.packet.source.assign(source.sun_path,
                                message.msg_namelen - offsetof(sockaddr_un, sun_path));
  }
  return peeked;
}

absl::StatusOr<Peeked> Peek(BorrowedFd socket, size_t size) {
  std::vector<char> room(size);
  return PeekInto(socket, room);
}

absl::Status PeekFrom(BorrowedFd socket, size_t offset) {
  const int value = static_cast<int>(offset);
  if (setsockopt(socket.get(), SOL_SOCKET, SO_PEEK_OFF, &value, sizeof value) < 0) {
    return absl::ErrnoToStatus(errno, "SO_PEEK_OFF");
  }
  return absl::OkStatus();
}

// Each peek puts the offset behind what it has read, and marks an empty packet as seen.
absl::Status PeekPackets(BorrowedFd socket, bool at_end_is_empty, SocketQueue& queue) {
  RETURN_IF_ERROR(PeekFrom(socket, 0));
  char usual[2048];
  size_t packets = 0;
  size_t offset = 0;
  // Of a packet socket that receives no more, the end reads as empty packets for ever.
  constexpr int kEnd = 64;
  for (int empty = 0; empty < kEnd;) {
    ASSIGN_OR_RETURN(Peeked peeked, PeekInto(socket, usual));
    if (peeked.nothing) break;
    const size_t length = peeked.length;
    empty = length == 0 && at_end_is_empty ? empty + 1 : 0;
    if (length > sizeof usual) {
      RETURN_IF_ERROR(PeekFrom(socket, offset));
      ASSIGN_OR_RETURN(peeked, Peek(socket, length));
    }
    offset += length;
    queue.packets.push_back(std::move(peeked.packet));
    if (length > 0) packets = queue.packets.size();
  }
  // Nor does a reader tell such packets from the end.
  if (at_end_is_empty) queue.packets.resize(packets);
  return absl::OkStatus();
}

// How many of the first `size` bytes from `offset` on come before those that descriptors came along
// with, which end there. A peek into the bytes before them has the descriptors already, but not one
// that ends in a fault: it gives the whole pieces that there was room for.
absl::StatusOr<size_t> BytesBeforeFiles(BorrowedFd socket, size_t offset, size_t size) {
  RETURN_IF_ERROR(PeekFrom(socket, offset));
  std::string room(size - 1, '\0');
  iovec bytes[] = {{room.data(), room.size()}, {nullptr, 1}};
  msghdr message = {.msg_iov = bytes, .msg_iovlen = 2};
  ssize_t got;
  do {
    got = recvmsg(socket.get(), &message, MSG_PEEK | MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got >= 0) return static_cast<size_t>(got);
  if (errno == EFAULT) return 0;
  return absl::ErrnoToStatus(errno, "peeking into the queue of a socket");
}

absl::Status PeekPieces(BorrowedFd socket, size_t bytes, SocketQueue& queue) {
  for (size_t offset = 0; offset < bytes;) {
    RETURN_IF_ERROR(PeekFrom(socket, offset));
    ASSIGN_OR_RETURN(Peeked peeked, Peek(socket, bytes - offset));
    if (peeked.nothing || peeked.length == 0) break;
    size_t before = 0;
    if (!peeked.packet.files.empty()) {
      ASSIGN_OR_RETURN(before, BytesBeforeFiles(socket, offset, peeked.length));
    }
    if (before > 0) {
      queue.packets.push_back({.bytes = peeked.packet.bytes.substr(0, before),
                               .credentials = peeked.packet.credentials});
      peeked.packet.bytes.erase(0, before);
    }
    offset += peeked.length;
    queue.packets.push_back(std::move(peeked.packet));
  }
  return absl::OkStatus();
}

size_t CountBytes(const SocketQueue& queue) {
  size_t bytes = 0;
  for (const QueuedPacket& packet : queue.packets) bytes += packet.bytes.size();
  return bytes;
}

absl::Status PeekStream(BorrowedFd socket, uint32_t bytes, PeekOffsetGuard guard,
                        SocketQueue& queue) {
  if (bytes == 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(Peeked all, Peek(socket, bytes));
  if (all.length == bytes && all.packet.files.empty()) {
    queue.packets.push_back(std::move(all.packet));
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(guard(socket, [&] { return PeekPieces(socket, bytes, queue); }));
  if (CountBytes(queue) != bytes) {
    return absl::InternalError(absl::StrCat("peeked at ", CountBytes(queue), " of the ", bytes,
                                            " bytes that wait in a socket"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SocketQueue> PeekQueue(BorrowedFd socket, int type, uint32_t bytes,
                                      PeekOffsetGuard guard) {
  SocketQueue queue;
  pollfd state = {.fd = socket.get(), .events = POLLIN | POLLPRI | POLLRDHUP};
  if (poll(&state, 1, 0) < 0) return absl::ErrnoToStatus(errno, "poll of a socket");
  // recv(2) tells an error before anything else, even when it only peeks, and then it is gone.
  if ((state.revents & POLLERR) != 0) queue.trouble = QueueTrouble::kError;
  if ((state.revents & POLLPRI) != 0) queue.trouble = QueueTrouble::kUrgent;
  if (queue.trouble != QueueTrouble::kNone || (state.revents & POLLIN) == 0) return queue;
  if (type == SOCK_STREAM) {
    RETURN_IF_ERROR(PeekStream(socket, bytes, guard, queue));
    return queue;
  }
  const bool at_end_is_empty = type == SOCK_SEQPACKET && (state.revents & POLLRDHUP) != 0;
  RETURN_IF_ERROR(guard(socket, [&] { return PeekPackets(socket, at_end_is_empty, queue); }));
  return queue;
}

}  // namespace dumpctl
