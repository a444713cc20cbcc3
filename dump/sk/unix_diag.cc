#include "dump/sk/unix_diag.h"

#include <linux/netlink.h>
#include <linux/unix_diag.h>
#include <sys/socket.h>

#include <cstring>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/sk/sock_diag.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::Status Malformed(std::string_view field) {
  return absl::DataLossError(
      absl::StrCat("sock_diag: ", std::string(field), " of a unix socket is malformed"));
}

absl::Status ParseQueues(const nlattr* lengths, const nlattr* pending, UnixSocketRow& row) {
  if (lengths != nullptr) {
    const auto queues = DiagValue<unix_diag_rqlen>(lengths);
    if (!queues) return Malformed("RQLEN");
    row.receive_queue = queues->udiag_rqueue;
    row.send_queue = queues->udiag_wqueue;
  }
  if (pending != nullptr) {
    const std::span<const std::byte> inodes = DiagBytes(pending);
    if (inodes.size() % sizeof(uint32_t) != 0) return Malformed("ICONS");
    row.pending.resize(inodes.size() / sizeof(uint32_t));
    if (!inodes.empty()) std::memcpy(row.pending.data(), inodes.data(), inodes.size());
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
  nlattr* found[UNIX_DIAG_MAX + 1];
  if (!ParseDiagAttributes(message.subspan(NLA_ALIGN(sizeof head)), found)) {
    return Malformed("an attribute");
  }
  if (const nlattr* name = found[UNIX_DIAG_NAME]) {
    const std::span<const std::byte> bytes = DiagBytes(name);
    row.name.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  if (const nlattr* peer = found[UNIX_DIAG_PEER]) {
    row.peer = DiagValue<uint32_t>(peer);
    if (!row.peer) return Malformed("PEER");
  }
  if (const nlattr* shutdown = found[UNIX_DIAG_SHUTDOWN]) {
    const auto value = DiagValue<uint8_t>(shutdown);
    if (!value) return Malformed("SHUTDOWN");
    row.shutdown = *value;
  }
  RETURN_IF_ERROR(ParseQueues(found[UNIX_DIAG_RQLEN], found[UNIX_DIAG_ICONS], row));
  return row;
}

absl::StatusOr<UnixSocketRows> AskForUnixSockets() {
  unix_diag_req request = {};
  request.sdiag_family = AF_UNIX;
  request.udiag_states = ~0u;
  request.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS | UDIAG_SHOW_RQLEN;
  UnixSocketRows rows;
  RETURN_IF_ERROR(AskSockDiag(std::as_bytes(std::span(&request, 1)),
                              {"unix sockets", "CONFIG_UNIX_DIAG"},
                              [&rows](std::span<const std::byte> message) -> absl::Status {
                                ASSIGN_OR_RETURN(UnixSocketRow row, ParseUnixDiag(message));
                                const uint32_t inode = row.inode;
                                rows.insert_or_assign(inode, std::move(row));
                                return absl::OkStatus();
                              }));
  return rows;
}

}  // namespace dumpctl
