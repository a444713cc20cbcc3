#include "dump/sk/sock_diag.h"

#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::Status NetlinkError(const DiagSubject& subject, std::string_view what, int error) {
  if (error == -NLE_OBJ_NOTFOUND || error == -NLE_OPNOTSUPP || error == -NLE_PROTO_MISMATCH) {
    return MakeFailure(
        Failure::kHost, absl::StatusCode::kFailedPrecondition,
        absl::StrCat("the kernel does not tell of ", std::string(subject.what),
                     ": sock_diag(7) with ", std::string(subject.option), " is needed"));
  }
  return absl::InternalError(
      absl::StrCat("sock_diag: ", std::string(what), ": ", nl_geterror(error)));
}

struct Answer {
  absl::FunctionRef<absl::Status(std::span<const std::byte>)> take;
  absl::Status status;
};

int TakeRow(nl_msg* message, void* argument) {
  auto& answer = *static_cast<Answer*>(argument);
  const nlmsghdr* header = nlmsg_hdr(message);
  const auto* data = static_cast<const std::byte*>(nlmsg_data(header));
  answer.status = answer.take({data, static_cast<size_t>(nlmsg_datalen(header))});
  return answer.status.ok() ? NL_OK : NL_STOP;
}

}  // namespace

absl::Status AskSockDiag(std::span<const std::byte> request, const DiagSubject& subject,
                         absl::FunctionRef<absl::Status(std::span<const std::byte>)> take) {
  const std::unique_ptr<nl_sock, decltype(&nl_socket_free)> socket(nl_socket_alloc(),
                                                                   nl_socket_free);
  if (socket == nullptr) return absl::ResourceExhaustedError("no memory for a netlink socket");
  if (const int error = nl_connect(socket.get(), NETLINK_SOCK_DIAG); error < 0) {
    return NetlinkError(subject, "connecting", error);
  }
  // A row with all that may wait to be accepted (net.core.somaxconn) has to fit.
  constexpr size_t kLargestMessage = 64 << 10;
  nl_socket_set_msg_buf_size(socket.get(), kLargestMessage);
  // libnl does not write to what it sends.
  int error = nl_send_simple(socket.get(), SOCK_DIAG_BY_FAMILY, NLM_F_DUMP,
                             const_cast<std::byte*>(request.data()), request.size());
  if (error < 0) return NetlinkError(subject, "asking", error);
  Answer answer{take, absl::OkStatus()};
  nl_socket_modify_cb(socket.get(), NL_CB_VALID, NL_CB_CUSTOM, TakeRow, &answer);
  error = nl_recvmsgs_default(socket.get());
  RETURN_IF_ERROR(answer.status);
  if (error < 0) return NetlinkError(subject, "the answer", error);
  return absl::OkStatus();
}

bool ParseDiagAttributes(std::span<const std::byte> rest, std::span<nlattr*> found) {
  // libnl does not write to what it parses.
  auto* attributes = reinterpret_cast<nlattr*>(const_cast<std::byte*>(rest.data()));
  return nla_parse(found.data(), static_cast<int>(found.size()) - 1, attributes,
                   static_cast<int>(rest.size()), nullptr) >= 0;
}

std::span<const std::byte> DiagBytes(const nlattr* attribute) {
  return {static_cast<const std::byte*>(nla_data(attribute)),
          static_cast<size_t>(nla_len(attribute))};
}

}  // namespace dumpctl
