#include "dump/sk/inet_diag.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "dump/sk/sock_diag.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::Status Malformed(std::string_view field) {
  return absl::DataLossError(
      absl::StrCat("sock_diag: ", std::string(field), " of an internet socket is malformed"));
}

DiagSubject SubjectOf(int protocol) {
  if (protocol == IPPROTO_TCP) return {"TCP sockets", "CONFIG_INET_TCP_DIAG"};
  return {"UDP sockets", "CONFIG_INET_UDP_DIAG"};
}

}  // namespace

absl::StatusOr<InetSocketRow> ParseInetDiag(std::span<const std::byte> message) {
  inet_diag_msg head;
  if (message.size() < sizeof head) return Malformed("the head");
  std::memcpy(&head, message.data(), sizeof head);
  if (head.idiag_family != AF_INET && head.idiag_family != AF_INET6) return Malformed("the family");
  InetSocketRow row{.inode = head.idiag_inode,
                    .family = head.idiag_family,
                    .state = head.idiag_state,
                    .receive_queue = head.idiag_rqueue,
                    .send_queue = head.idiag_wqueue};
  nlattr* found[INET_DIAG_MAX + 1];
  if (!ParseDiagAttributes(message.subspan(NLA_ALIGN(sizeof head)), found)) {
    return Malformed("an attribute");
  }
  if (const nlattr* shutdown = found[INET_DIAG_SHUTDOWN]) {
    const auto value = DiagValue<uint8_t>(shutdown);
    if (!value) return Malformed("SHUTDOWN");
    row.shutdown = *value;
  }
  const nlattr* signatures = found[INET_DIAG_MD5SIG];
  row.has_signatures = signatures != nullptr && !DiagBytes(signatures).empty();
  return row;
}

absl::StatusOr<InetSocketRows> AskForInetSockets(int protocol) {
  InetSocketRows rows;
  for (const int family : {AF_INET, AF_INET6}) {
    inet_diag_req_v2 request = {};
    request.sdiag_family = static_cast<uint8_t>(family);
    request.sdiag_protocol = static_cast<uint8_t>(protocol);
    request.idiag_states = ~0u;
    RETURN_IF_ERROR(AskSockDiag(std::as_bytes(std::span(&request, 1)), SubjectOf(protocol),
                                [&rows](std::span<const std::byte> message) -> absl::Status {
                                  ASSIGN_OR_RETURN(const InetSocketRow row, ParseInetDiag(message));
                                  // 0: of connections that nobody has accepted, or has any more.
                                  if (row.inode != 0) rows.insert_or_assign(row.inode, row);
                                  return absl::OkStatus();
                                }));
  }
  return rows;
}

}  // namespace dumpctl
