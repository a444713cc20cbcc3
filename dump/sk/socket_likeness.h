#ifndef DUMP_SK_SOCKET_LIKENESS_H_
#define DUMP_SK_SOCKET_LIKENESS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/status/statusor.h"
#include "proc/bpf_socket_states.h"

namespace dumpctl {

// By inode: something that is the same of those alone that have the same SocketOptions.
using SocketLikenesses = std::unordered_map<uint32_t, std::string>;

// Tells which unix sockets have the same options, for asking one of them about each takes 42 system
// calls, and most of a thousand are alike.
class SocketLikeness {
 public:
  // Sets each option on a socket of our own, and looks whether that is to be seen: on a kernel that
  // keeps one where we do not look, it is FailedPrecondition. So it is where one cannot be tried
  // (CAP_NET_ADMIN). Other errors: those of BpfSocketStates.
  static absl::StatusOr<SocketLikeness> Load();

  // Of all sockets of a task. Errors: BpfSocketStates::Read's.
  absl::StatusOr<SocketLikenesses> Read(pid_t tid) const;

 private:
  explicit SocketLikeness(BpfSocketStates states) : states_(std::move(states)) {}

  BpfSocketStates states_;
};

}  // namespace dumpctl

#endif  // DUMP_SK_SOCKET_LIKENESS_H_
