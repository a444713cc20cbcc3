#include "dump/sk/tcp_stream.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// <netinet/tcp.h> and <linux/tcp.h> exclude each other: states of a connection whose own end was
// closed, and is not acknowledged yet.
constexpr uint8_t kFinWait1 = 4;
constexpr uint8_t kLastAck = 9;
constexpr uint8_t kClosing = 11;

template <typename Value>
absl::StatusOr<Value> Get(BorrowedFd socket, int option, std::string_view name) {
  Value value = {};
  socklen_t size = sizeof value;
  if (getsockopt(socket.get(), IPPROTO_TCP, option, &value, &size) == 0) return value;
  return absl::ErrnoToStatus(errno, std::string(name));
}

absl::StatusOr<uint32_t> Queued(BorrowedFd socket, unsigned long request, std::string_view name) {
  int bytes = 0;
  if (ioctl(socket.get(), request, &bytes) == 0) return static_cast<uint32_t>(bytes);
  return absl::ErrnoToStatus(errno, std::string(name));
}

struct Queue {
  uint32_t sequence = 0;  // behind all of it, and behind the end where that was sent
  std::string bytes;
};

// A queue of which the kernel says that it has so many bytes.
absl::StatusOr<Queue> ReadQueue(BorrowedFd socket, int which, uint32_t size) {
  Queue queue;
  if (setsockopt(socket.get(), IPPROTO_TCP, TCP_REPAIR_QUEUE, &which, sizeof which) < 0) {
    return absl::ErrnoToStatus(errno, "TCP_REPAIR_QUEUE");
  }
  ASSIGN_OR_RETURN(queue.sequence, Get<uint32_t>(socket, TCP_QUEUE_SEQ, "TCP_QUEUE_SEQ"));
  if (size == 0) return queue;
  queue.bytes.resize(size + 1);
  const ssize_t got =
      recv(socket.get(), queue.bytes.data(), queue.bytes.size(), MSG_PEEK | MSG_DONTWAIT);
  if (got < 0) return absl::ErrnoToStatus(errno, "reading a queue of TCP");
  if (got != static_cast<ssize_t>(size)) {
    return absl::UnavailableError(absl::StrCat("a queue of TCP has ", got, " bytes instead of ",
                                               size, ": packets came or went meanwhile"));
  }
  queue.bytes.resize(size);
  return queue;
}

absl::Status ReadOptions(BorrowedFd socket, image::tcp_stream_entry& entry) {
  ASSIGN_OR_RETURN(const auto info, Get<tcp_info>(socket, TCP_INFO, "TCP_INFO"));
  // In repair mode it says what the other end takes, without options.
  ASSIGN_OR_RETURN(const auto segment, Get<uint32_t>(socket, TCP_MAXSEG, "TCP_MAXSEG"));
  entry.set_opt_mask(info.tcpi_options & (TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE));
  entry.set_snd_wscale(info.tcpi_snd_wscale);
  entry.set_rcv_wscale(info.tcpi_rcv_wscale);
  entry.set_mss_clamp(segment);
  ASSIGN_OR_RETURN(const auto clock, Get<uint32_t>(socket, TCP_TIMESTAMP, "TCP_TIMESTAMP"));
  if ((info.tcpi_options & TCPI_OPT_TIMESTAMPS) != 0) entry.set_timestamp(clock);
  ASSIGN_OR_RETURN(const auto window,
                   Get<tcp_repair_window>(socket, TCP_REPAIR_WINDOW, "TCP_REPAIR_WINDOW"));
  entry.set_snd_wl1(window.snd_wl1);
  entry.set_snd_wnd(window.snd_wnd);
  entry.set_max_window(window.max_window);
  entry.set_rcv_wnd(window.rcv_wnd);
  entry.set_rcv_wup(window.rcv_wup);
  return absl::OkStatus();
}

}  // namespace

absl::Status StartRepair(BorrowedFd socket) {
  const int on = TCP_REPAIR_ON;
  if (setsockopt(socket.get(), IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) == 0) {
    return absl::OkStatus();
  }
  if (errno != EPERM) return absl::ErrnoToStatus(errno, "TCP_REPAIR");
  return MakeFailure(Failure::kPermission, absl::StatusCode::kPermissionDenied,
                     "reading connections of TCP needs CAP_NET_ADMIN");
}

bool EndRepair(int socket, bool reuse_address) {
  const int off = TCP_REPAIR_OFF_NO_WP;
  const int reuse = 1;
  bool ended = setsockopt(socket, IPPROTO_TCP, TCP_REPAIR, &off, sizeof off) == 0;
  if (reuse_address) {
    ended &= setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse) == 0;
  }
  return ended;
}

absl::StatusOr<TcpStream> ReadTcpStream(BorrowedFd socket, uint8_t state) {
  TcpStream stream;
  image::tcp_stream_entry& entry = stream.entry;
  ASSIGN_OR_RETURN(const uint32_t received, Queued(socket, SIOCINQ, "SIOCINQ"));
  ASSIGN_OR_RETURN(uint32_t sent, Queued(socket, SIOCOUTQ, "SIOCOUTQ"));
  ASSIGN_OR_RETURN(uint32_t unsent, Queued(socket, SIOCOUTQNSD, "SIOCOUTQNSD"));
  // The end takes a place in the sequence, as a byte does, and is the last that is sent.
  if (state == kFinWait1 || state == kLastAck || state == kClosing) {
    if (sent > 0) --sent;
    if (unsent > 0) --unsent;
  }
  ASSIGN_OR_RETURN(Queue in, ReadQueue(socket, TCP_RECV_QUEUE, received));
  ASSIGN_OR_RETURN(Queue out, ReadQueue(socket, TCP_SEND_QUEUE, sent));
  entry.set_inq_len(received);
  entry.set_inq_seq(in.sequence);
  entry.set_outq_len(sent);
  entry.set_outq_seq(out.sequence);
  entry.set_unsq_len(unsent);
  stream.received = std::move(in.bytes);
  stream.sent = std::move(out.bytes);
  RETURN_IF_ERROR(ReadOptions(socket, entry));
  return stream;
}

}  // namespace dumpctl
