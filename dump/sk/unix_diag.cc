#include "dump/sk/unix_diag.h"

#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::Status NetlinkError(std::string_view what, int error) {
  if (error == -NLE_OBJ_NOTFOUND || error == -NLE_OPNOTSUPP || error == -NLE_PROTO_MISMATCH) {
    return MakeFailure(Failure::kHost, absl::StatusCode::kFailedPrecondition,
                       "the kernel does not tell of unix sockets: sock_diag(7) with "
                       "CONFIG_UNIX_DIAG is needed");
  }
  return absl::InternalError(
      absl::StrCat("sock_diag: ", std::string(what), ": ", nl_geterror(error)));
}

// What the callback fills.
struct Answer {
  UnixSocketRows rows;
  absl::Status status;
};

int TakeRow(nl_msg* message, void* argument) {
  auto& answer = *static_cast<Answer*>(argument);
  const nlmsghdr* header = nlmsg_hdr(message);
  const auto* data = static_cast<const std::byte*>(nlmsg_data(header));
  auto row = ParseUnixDiag({data, static_cast<size_t>(nlmsg_datalen(header))});
  if (!row.ok()) {
    answer.status = row.status();
    return NL_STOP;
  }
  const uint32_t inode = row->inode;
  answer.rows.insert_or_assign(inode, *std::move(row));
  return NL_OK;
}

absl::Status Malformed(std::string_view field) {
  return absl::DataLossError(
      absl::StrCat("sock_diag: ", std::string(field), " of a unix socket is malformed"));
}

template <typename T>
std::optional<T> ValueOf(const nlattr* attribute) {
  if (static_cast<size_t>(nla_len(attribute)) < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, nla_data(attribute), sizeof value);
  return value;
}

absl::Status ParseQueues(const nlattr* lengths, const nlattr* pending, UnixSocketRow& row) {
  if (lengths != nullptr) {
    const auto queues = ValueOf<unix_diag_rqlen>(lengths);
    if (!queues) return Malformed("RQLEN");
    row.receive_queue = queues->udiag_rqueue;
    row.send_queue = queues->udiag_wqueue;
  }
  if (pending != nullptr) {
    const auto size = static_cast<size_t>(nla_len(pending));
    if (size % sizeof(uint32_t) != 0) return Malformed("ICONS");
    row.pending.resize(size / sizeof(uint32_t));
    if (size > 0) std::memcpy(row.pending.data(), nla_data(pending), size);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UnixSocketRow> ParseUnixDiag(std::span<const std::byte> message) {
  unix_diag_msg head;
  if (message.size() < sizeof head) return Malformed("the head");
  std::memcpy(&head, message.data(), sizeof head);
  if (head.udiag_family != AF_UNIX) return Malformed("the family");
  UnixSocketRow row{.inode = head.udiag_ino, .type = head.udiag_type, .state = head.udiag_state};
  const auto rest = message.subspan(NLA_ALIGN(sizeof head));
  nlattr* found[UNIX_DIAG_MAX + 1];
  // libnl does not write to what it parses.
  auto* attributes = reinterpret_cast<nlattr*>(const_cast<std::byte*>(rest.data()));
  if (nla_parse(found, UNIX_DIAG_MAX, attributes, static_cast<int>(rest.size()), nullptr) < 0) {
    return Malformed("an attribute");
  }
  if (const nlattr* name = found[UNIX_DIAG_NAME]) {
    row.name.assign(static_cast<const char*>(nla_data(name)), static_cast<size_t>(nla_len(name)));
  }
  if (const nlattr* peer = found[UNIX_DIAG_PEER]) {
    row.peer = ValueOf<uint32_t>(peer);
    if (!row.peer) return Malformed("PEER");
  }
  if (const nlattr* shutdown = found[UNIX_DIAG_SHUTDOWN]) {
    const auto value = ValueOf<uint8_t>(shutdown);
    if (!value) return Malformed("SHUTDOWN");
    row.shutdown = *value;
  }
  RETURN_IF_ERROR(ParseQueues(found[UNIX_DIAG_RQLEN], found[UNIX_DIAG_ICONS], row));
  return row;
}

absl::StatusOr<UnixSocketRows> AskForUnixSockets() {
  const std::unique_ptr<nl_sock, decltype(&nl_socket_free)> socket(nl_socket_alloc(),
                                                                   nl_socket_free);
  if (socket == nullptr) return absl::ResourceExhaustedError("no memory for a netlink socket");
  if (const int error = nl_connect(socket.get(), NETLINK_SOCK_DIAG); error < 0) {
    return NetlinkError("connecting", error);
  }
  // A row with all that may wait to be accepted (net.core.somaxconn) has to fit.
  constexpr size_t kLargestMessage = 64 << 10;
  nl_socket_set_msg_buf_size(socket.get(), kLargestMessage);
  unix_diag_req request = {};
  request.sdiag_family = AF_UNIX;
  request.udiag_states = ~0u;
  request.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS | UDIAG_SHOW_RQLEN;
  int error =
      nl_send_simple(socket.get(), SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &request, sizeof request);
  if (error < 0) return NetlinkError("asking", error);
  Answer answer;
  nl_socket_modify_cb(socket.get(), NL_CB_VALID, NL_CB_CUSTOM, TakeRow, &answer);
  error = nl_recvmsgs_default(socket.get());
  RETURN_IF_ERROR(answer.status);
  if (error < 0) return NetlinkError("the answer", error);
  return std::move(answer.rows);
}

}  // namespace dumpctl
