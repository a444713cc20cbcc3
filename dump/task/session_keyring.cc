#include "dump/task/session_keyring.h"

#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::StatusOr<int64_t> AskKeyring(RemoteSyscalls& calls, int64_t which) {
  ASSIGN_OR_RETURN(
      const int64_t number,
      calls.AskAside(SYS_keyctl, {KEYCTL_GET_KEYRING_ID, static_cast<uint64_t>(which)}));
  if (number >= 0) return number;
  if (number == -ENOSYS || number == -EOPNOTSUPP) return 0;  // a kernel without keyrings
  return absl::ErrnoToStatus(static_cast<int>(-number), "KEYCTL_GET_KEYRING_ID");
}

long OurUsersKeyring() {
  return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_SESSION_KEYRING, 0);
}

}  // namespace

absl::StatusOr<int32_t> AskSessionKeyring(RemoteSyscalls& calls) {
  ASSIGN_OR_RETURN(const int64_t session, AskKeyring(calls, KEY_SPEC_SESSION_KEYRING));
  // Most have the same user as we.
  if (session == 0 || session == OurUsersKeyring()) return 0;
  ASSIGN_OR_RETURN(const int64_t user, AskKeyring(calls, KEY_SPEC_USER_SESSION_KEYRING));
  return session == user ? 0 : static_cast<int32_t>(session);
}

}  // namespace dumpctl
