#include "dump/task/session_keyring.h"

#include <linux/keyctl.h>
#include <sys/syscall.h>

#include <optional>
#include <string>
#include <vector>

#include "dumpctl/status_macros.h"
#include "proc/proc_fs.h"
#include "proc/text_fields.h"

namespace dumpctl {
namespace {

// Their own and the one for sessions without one; the superuser owns one that lists these as well.
constexpr uint64_t kKeysOfUser = 2;
constexpr uint64_t kKeysOfSuperuser = 3;

// "    0:     9 8/8 3/1000000 88/25000000": user, references, keys, keys within their quota, which
// those of the kernel are not, and bytes.
bool HasMoreKeys(std::string_view line) {
  const std::vector<std::string_view> words = Words(line);
  if (words.size() < 4) return true;
  std::string_view quota = words[3];
  const std::optional<uint64_t> keys = NumberOf<uint64_t>(TakeUntil(quota, '/'));
  return !keys || *keys > (words[0] == "0:" ? kKeysOfSuperuser : kKeysOfUser);
}

absl::StatusOr<int64_t> AskKeyring(RemoteSyscalls& calls, int64_t which) {
  return calls.AskAside(SYS_keyctl, {KEYCTL_GET_KEYRING_ID, static_cast<uint64_t>(which)});
}

}  // namespace

bool MayBeSessionKeyrings(std::string_view key_users) {
  while (!key_users.empty()) {
    if (HasMoreKeys(TakeUntil(key_users, '\n'))) return true;
  }
  return false;
}

bool MayBeSessionKeyrings() {
  const absl::StatusOr<ProcDir> proc = ProcDir::OpenRoot();
  if (!proc.ok()) return true;
  const absl::StatusOr<std::string> text = proc->Read("key-users");
  // A kernel without keys has no such file.
  return text.ok() ? MayBeSessionKeyrings(*text) : !absl::IsNotFound(text.status());
}

absl::StatusOr<int32_t> AskSessionKeyring(RemoteSyscalls& calls) {
  ASSIGN_OR_RETURN(const int64_t session, AskKeyring(calls, KEY_SPEC_SESSION_KEYRING));
  if (session <= 0) return 0;
  ASSIGN_OR_RETURN(const int64_t user, AskKeyring(calls, KEY_SPEC_USER_SESSION_KEYRING));
  return session == user ? 0 : static_cast<int32_t>(session);
}

}  // namespace dumpctl
