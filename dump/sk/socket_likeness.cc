#include "dump/sk/socket_likeness.h"

#include <linux/filter.h>
#include <linux/net_tstamp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dump/sk/socket_options.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {
namespace {

// A value that an option does not have of itself.
struct Trial {
  int option;
  std::vector<char> value;
};

template <typename Value>
Trial TrialOf(int option, const Value& value) {
  const auto* const bytes = reinterpret_cast<const char*>(&value);
  return {option, std::vector<char>(bytes, bytes + sizeof value)};
}

// Of all that ReadSocketOptions asks for.
std::vector<Trial> AllTrials() {
  std::vector<Trial> trials;
  for (const UnplacedOption& unplaced : UnplacedOptions()) {
    if (unplaced.option == SO_TXTIME) continue;
    trials.push_back(TrialOf(unplaced.option, unplaced.untouched == 0 ? 1 : 0));
  }
  for (const int option : {SO_TIMESTAMPING_OLD, SO_TIMESTAMPING_NEW}) {
    trials.push_back(TrialOf(option, int{SOF_TIMESTAMPING_SOFTWARE}));
  }
  trials.push_back(TrialOf(SO_TXTIME, sock_txtime{.clockid = CLOCK_MONOTONIC, .flags = 0}));
  for (const int option : {SO_SNDBUF, SO_RCVBUF}) trials.push_back(TrialOf(option, 7000));
  for (const int option :
       {SO_PRIORITY, SO_RCVLOWAT, SO_MARK, SO_BUF_LOCK, SO_REUSEADDR, SO_REUSEPORT, SO_PASSCRED,
        SO_PASSSEC, SO_DONTROUTE, SO_NO_CHECK, SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE}) {
    trials.push_back(TrialOf(option, 3));
  }
  trials.push_back(TrialOf(SO_LINGER, linger{.l_onoff = 1, .l_linger = 0}));
  trials.push_back(TrialOf(SO_LINGER, linger{.l_onoff = 1, .l_linger = 9}));
  for (const int option : {SO_SNDTIMEO, SO_RCVTIMEO}) {
    trials.push_back(TrialOf(option, timeval{.tv_sec = 5, .tv_usec = 0}));
  }
  constexpr std::array<char, 3> kLoopback = {'l', 'o'};
  trials.push_back(TrialOf(SO_BINDTODEVICE, kLoopback));
  static sock_filter everything = BPF_STMT(BPF_RET | BPF_K, ~0u);
  trials.push_back(TrialOf(SO_ATTACH_FILTER, sock_fprog{.len = 1, .filter = &everything}));
  return trials;
}

// Which mean that no such socket can have it.
bool IsOfNoSocket(int error) {
  constexpr int kNotSupported = 524;  // the kernel's own ENOTSUPP
  return error == EOPNOTSUPP || error == ENOPROTOOPT || error == ENODEV || error == kNotSupported;
}

absl::StatusOr<UniqueFd> Socket() {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return absl::ErrnoToStatus(errno, "making a socket to try options on");
  return socket;
}

absl::StatusOr<std::string_view> OptionsOf(BorrowedFd socket,
                                           const std::vector<SocketState>& states) {
  const auto found =
      std::lower_bound(states.begin(), states.end(), socket.get(),
                       [](const SocketState& state, int number) { return state.number < number; });
  if (found == states.end() || found->number != socket.get()) {
    return absl::InternalError("a BPF program does not tell of our own sockets");
  }
  return std::string_view(found->options);
}

// Whether each option shows.
absl::Status TryAll(const BpfSocketStates& program) {
  ASSIGN_OR_RETURN(const UniqueFd untouched, Socket());
  std::vector<std::pair<int, UniqueFd>> touched;
  for (const Trial& trial : AllTrials()) {
    ASSIGN_OR_RETURN(UniqueFd socket, Socket());
    if (setsockopt(socket.get(), SOL_SOCKET, trial.option, trial.value.data(),
                   static_cast<socklen_t>(trial.value.size())) == 0) {
      touched.emplace_back(trial.option, std::move(socket));
    } else if (!IsOfNoSocket(errno)) {
      return absl::FailedPreconditionError(
          absl::StrCat("option ", trial.option, " cannot be tried"));
    }
  }
  ASSIGN_OR_RETURN(const std::vector<SocketState> states, program.Read(getpid()));
  ASSIGN_OR_RETURN(const std::string_view before, OptionsOf(BorrowedFd(untouched), states));
  for (const auto& [option, socket] : touched) {
    ASSIGN_OR_RETURN(const std::string_view after, OptionsOf(BorrowedFd(socket), states));
    if (after == before) {
      return absl::FailedPreconditionError(
          absl::StrCat("the kernel keeps option ", option, " of sockets elsewhere"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SocketLikeness> SocketLikeness::Load() {
  ASSIGN_OR_RETURN(BpfSocketStates states, BpfSocketStates::Load());
  RETURN_IF_ERROR(TryAll(states));
  return SocketLikeness(std::move(states));
}

absl::StatusOr<SocketLikenesses> SocketLikeness::Read(pid_t tid) const {
  ASSIGN_OR_RETURN(std::vector<SocketState> states, states_.Read(tid));
  SocketLikenesses likenesses;
  for (SocketState& state : states) {
    likenesses[static_cast<uint32_t>(state.inode)] = std::move(state.options);
  }
  return likenesses;
}

}  // namespace dumpctl
