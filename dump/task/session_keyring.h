#ifndef DUMP_TASK_SESSION_KEYRING_H_
#define DUMP_TASK_SESSION_KEYRING_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "dump/tracee/remote_syscalls.h"

namespace dumpctl {

// The serial number of the session keyring that a process has (session-keyring(7)); 0 where it has
// none, or only that of its user, which every process without one of its own has.
//
// Kernel trap: KEYCTL_GET_KEYRING_ID installs that of the user in the credentials of who asks and
// has none, and once it has changed its user it would still have the keyring of the former one. So
// it is asked in a thread aside. Errors: RemoteSyscalls::AskAside's, and keyctl(2)'s.
absl::StatusOr<int32_t> AskSessionKeyring(RemoteSyscalls& calls);

}  // namespace dumpctl

#endif  // DUMP_TASK_SESSION_KEYRING_H_
