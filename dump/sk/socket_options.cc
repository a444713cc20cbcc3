#include "dump/sk/socket_options.h"

#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "dumpctl/kernel_abi.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

constexpr UnplacedOption kUnplaced[] = {
    {SO_DEBUG, "SO_DEBUG"},
    // Each of the old and new ones says 0 where the other was set.
    {SO_TIMESTAMP_OLD, "SO_TIMESTAMP"},
    {SO_TIMESTAMP_NEW, "SO_TIMESTAMP"},
    {SO_TIMESTAMPNS_OLD, "SO_TIMESTAMPNS"},
    {SO_TIMESTAMPNS_NEW, "SO_TIMESTAMPNS"},
    {SO_TIMESTAMPING_OLD, "SO_TIMESTAMPING"},
    {SO_TIMESTAMPING_NEW, "SO_TIMESTAMPING"},
    {SO_RXQ_OVFL, "SO_RXQ_OVFL"},
    {SO_WIFI_STATUS, "SO_WIFI_STATUS"},
    {SO_PEEK_OFF, "SO_PEEK_OFF", -1},
    {SO_NOFCS, "SO_NOFCS"},
    {SO_LOCK_FILTER, "SO_LOCK_FILTER"},
    {SO_SELECT_ERR_QUEUE, "SO_SELECT_ERR_QUEUE"},
    {SO_MAX_PACING_RATE, "SO_MAX_PACING_RATE", -1},
    {SO_ZEROCOPY, "SO_ZEROCOPY"},
    {SO_TXTIME, "SO_TXTIME"},
    {SO_RESERVE_MEM, "SO_RESERVE_MEM"},
    {SO_RCVMARK, "SO_RCVMARK"},
    {abi::kSoPassPidfd, "SO_PASSPIDFD"},
    {abi::kSoRcvPriority, "SO_RCVPRIORITY"},
    {abi::kSoPassRights, "SO_PASSRIGHTS", 1},
};

bool IsUnknown(int error) { return error == EOPNOTSUPP || error == ENOPROTOOPT; }

absl::Status OptionError(int option) {
  return absl::ErrnoToStatus(errno, absl::StrCat("getsockopt(SOL_SOCKET, ", option, ")"));
}

// None where there is no such option.
template <typename Value>
absl::StatusOr<std::optional<Value>> GetIfKnown(BorrowedFd socket, int option) {
  Value value = {};
  socklen_t size = sizeof value;
  if (getsockopt(socket.get(), SOL_SOCKET, option, &value, &size) == 0) return value;
  if (IsUnknown(errno)) return std::nullopt;
  return OptionError(option);
}

// All zeros where there is no such option.
template <typename Value>
absl::StatusOr<Value> Get(BorrowedFd socket, int option) {
  ASSIGN_OR_RETURN(const std::optional<Value> value, GetIfKnown<Value>(socket, option));
  return value.value_or(Value());
}

absl::Status ReadNumbers(BorrowedFd socket, image::sk_opts_entry& entry) {
  ASSIGN_OR_RETURN(const auto send_buffer, Get<uint32_t>(socket, SO_SNDBUF));
  ASSIGN_OR_RETURN(const auto receive_buffer, Get<uint32_t>(socket, SO_RCVBUF));
  ASSIGN_OR_RETURN(const auto priority, Get<uint32_t>(socket, SO_PRIORITY));
  ASSIGN_OR_RETURN(const auto low_water, Get<uint32_t>(socket, SO_RCVLOWAT));
  ASSIGN_OR_RETURN(const auto mark, Get<uint32_t>(socket, SO_MARK));
  entry.set_so_sndbuf(send_buffer);
  entry.set_so_rcvbuf(receive_buffer);
  entry.set_so_priority(priority);
  entry.set_so_rcvlowat(low_water);
  if (mark != 0) entry.set_so_mark(mark);
  // Which of the buffers the program has sized itself. Linux 5.14.
  ASSIGN_OR_RETURN(const auto locked, GetIfKnown<uint32_t>(socket, SO_BUF_LOCK));
  if (locked) entry.set_so_buf_lock(*locked);
  ASSIGN_OR_RETURN(const auto lingering, Get<linger>(socket, SO_LINGER));
  if (lingering.l_onoff != 0) entry.set_so_linger(static_cast<uint32_t>(lingering.l_linger));
  return absl::OkStatus();
}

absl::Status ReadSwitches(BorrowedFd socket, image::sk_opts_entry& entry) {
  ASSIGN_OR_RETURN(const auto reuse_address, Get<int>(socket, SO_REUSEADDR));
  ASSIGN_OR_RETURN(const auto reuse_port, Get<int>(socket, SO_REUSEPORT));
  // Of no other sockets than those of unix and netlink, since Linux 6.16.
  ASSIGN_OR_RETURN(const auto credentials, GetIfKnown<int>(socket, SO_PASSCRED));
  ASSIGN_OR_RETURN(const auto security, GetIfKnown<int>(socket, SO_PASSSEC));
  ASSIGN_OR_RETURN(const auto dont_route, Get<int>(socket, SO_DONTROUTE));
  ASSIGN_OR_RETURN(const auto no_check, Get<int>(socket, SO_NO_CHECK));
  ASSIGN_OR_RETURN(const auto broadcast, Get<int>(socket, SO_BROADCAST));
  ASSIGN_OR_RETURN(const auto keep_alive, Get<int>(socket, SO_KEEPALIVE));
  ASSIGN_OR_RETURN(const auto inline_urgent, Get<int>(socket, SO_OOBINLINE));
  entry.set_reuseaddr(reuse_address != 0);
  entry.set_so_reuseport(reuse_port != 0);
  if (credentials) entry.set_so_passcred(*credentials != 0);
  if (security) entry.set_so_passsec(*security != 0);
  entry.set_so_dontroute(dont_route != 0);
  entry.set_so_no_check(no_check != 0);
  entry.set_so_broadcast(broadcast != 0);
  entry.set_so_keepalive(keep_alive != 0);
  entry.set_so_oobinline(inline_urgent != 0 ? 1 : 0);
  return absl::OkStatus();
}

absl::Status ReadTimeouts(BorrowedFd socket, image::sk_opts_entry& entry) {
  ASSIGN_OR_RETURN(const auto send, Get<timeval>(socket, SO_SNDTIMEO));
  ASSIGN_OR_RETURN(const auto receive, Get<timeval>(socket, SO_RCVTIMEO));
  entry.set_so_snd_tmo_sec(static_cast<uint64_t>(send.tv_sec));
  entry.set_so_snd_tmo_usec(static_cast<uint64_t>(send.tv_usec));
  entry.set_so_rcv_tmo_sec(static_cast<uint64_t>(receive.tv_sec));
  entry.set_so_rcv_tmo_usec(static_cast<uint64_t>(receive.tv_usec));
  return absl::OkStatus();
}

absl::Status ReadDevice(BorrowedFd socket, image::sk_opts_entry& entry) {
  char name[IFNAMSIZ] = {};
  socklen_t size = sizeof name;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, name, &size) < 0) {
    return IsUnknown(errno) ? absl::OkStatus() : OptionError(SO_BINDTODEVICE);
  }
  const size_t length = strnlen(name, size);
  if (length > 0) entry.set_so_bound_dev(name, length);
  return absl::OkStatus();
}

// The filter (SO_ATTACH_FILTER), which the kernel counts in instructions. One of eBPF
// (SO_ATTACH_BPF) it does not show: EACCES.
absl::Status ReadFilter(BorrowedFd socket, SocketOptions& options) {
  socklen_t count = 0;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_GET_FILTER, nullptr, &count) < 0) {
    if (errno == EACCES) {
      options.lost.push_back("SO_ATTACH_BPF");
      return absl::OkStatus();
    }
    return IsUnknown(errno) ? absl::OkStatus() : OptionError(SO_GET_FILTER);
  }
  std::vector<sock_filter> filter(count);
  if (count > 0 && getsockopt(socket.get(), SOL_SOCKET, SO_GET_FILTER, filter.data(), &count) < 0) {
    return OptionError(SO_GET_FILTER);
  }
  for (const sock_filter& instruction : filter) {
    options.entry.add_so_filter(uint64_t{instruction.code} << 48 | uint64_t{instruction.jt} << 40 |
                                uint64_t{instruction.jf} << 32 | instruction.k);
  }
  return absl::OkStatus();
}

absl::Status FindUnplaced(BorrowedFd socket, SocketOptions& options) {
  for (const UnplacedOption& row : kUnplaced) {
    ASSIGN_OR_RETURN(const auto value, GetIfKnown<int>(socket, row.option));
    if (value && *value != row.untouched) options.lost.push_back(row.name);
  }
  return absl::OkStatus();
}

}  // namespace

std::span<const UnplacedOption> UnplacedOptions() { return kUnplaced; }

void LeaveOutCredentials(image::sk_opts_entry& entry) {
  if (!entry.so_passcred()) entry.clear_so_passcred();
  if (!entry.so_passsec()) entry.clear_so_passsec();
}

absl::StatusOr<SocketOptions> ReadSocketOptions(BorrowedFd socket) {
  SocketOptions options;
  RETURN_IF_ERROR(ReadNumbers(socket, options.entry));
  RETURN_IF_ERROR(ReadSwitches(socket, options.entry));
  RETURN_IF_ERROR(ReadTimeouts(socket, options.entry));
  RETURN_IF_ERROR(ReadDevice(socket, options.entry));
  RETURN_IF_ERROR(ReadFilter(socket, options));
  RETURN_IF_ERROR(FindUnplaced(socket, options));
  return options;
}

std::optional<WhyNotText> WhyNotOptions(const std::vector<std::string_view>& lost) {
  if (lost.empty()) return std::nullopt;
  std::string list;
  for (const std::string_view name : lost) {
    absl::StrAppend(&list, list.empty() ? "" : ", ", std::string(name));
  }
  return WhyNotText{absl::StrCat("no restore sets its options ", list, " again"),
                    "let the program put them back"};
}

SocketReadiness ReadReadiness(BorrowedFd socket) {
  SocketReadiness readiness;
  uint32_t memory[SK_MEMINFO_VARS] = {};
  socklen_t size = sizeof memory;
  readiness.received = getsockopt(socket.get(), SOL_SOCKET, SO_MEMINFO, memory, &size) == 0 &&
                       memory[SK_MEMINFO_RMEM_ALLOC] > 0;
  pollfd ready = {.fd = socket.get(), .events = 0, .revents = 0};
  readiness.error = poll(&ready, 1, 0) == 1 && (ready.revents & POLLERR) != 0;
  return readiness;
}

absl::StatusOr<bool> IsOfOtherNetwork(BorrowedFd socket) {
  const UniqueFd ours(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!ours) return absl::ErrnoToStatus(errno, "making a socket");
  ASSIGN_OR_RETURN(const auto its, GetIfKnown<uint64_t>(socket, abi::kSoNetnsCookie));
  ASSIGN_OR_RETURN(const auto own, GetIfKnown<uint64_t>(BorrowedFd(ours), abi::kSoNetnsCookie));
  return its != own;
}

}  // namespace dumpctl
