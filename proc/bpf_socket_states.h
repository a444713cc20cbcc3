#ifndef PROC_BPF_SOCKET_STATES_H_
#define PROC_BPF_SOCKET_STATES_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// What the kernel keeps of a socket that a descriptor refers to.
struct SocketState {
  int number = 0;
  uint64_t inode = 0;
  // A program chooses among the sockets of its port (SO_ATTACH_REUSEPORT_EBPF and _CBPF), which no
  // getsockopt(2) tells.
  bool reuseport_program = false;
  // All that options of SOL_SOCKET set, as it stands in memory, and its type. Opaque: sockets of
  // which it is the same have the same options, but the reverse need not be. What options are among
  // it depends on the kernel: see SocketLikeness.
  std::string options;
};

// Reads that of all sockets of a task at once: by a BPF program that the kernel runs for each of
// its descriptors (iter/task_file, Linux 6.1).
class BpfSocketStates {
 public:
  // Errors: those of LoadBpfIterator, and of Btf where the kernel keeps them in another way.
  static absl::StatusOr<BpfSocketStates> Load();

  // Of the thread `tid`, by ascending number.
  absl::StatusOr<std::vector<SocketState>> Read(pid_t tid) const;

 private:
  explicit BpfSocketStates(UniqueFd program) : program_(std::move(program)) {}

  UniqueFd program_;
};

}  // namespace dumpctl

#endif  // PROC_BPF_SOCKET_STATES_H_
