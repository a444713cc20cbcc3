#include "dump/task/security_label.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

std::string SecurityLabelOf(const ProcDir& task) {
  // EINVAL without a module that has labels. SELinux ends its text with a zero, AppArmor with a
  // newline.
  std::string label = task.Read("attr/current").value_or("");
  label.erase(label.find_last_not_of(std::string_view("\0\n", 2)) + 1);
  return label;
}

bool AreTasksLabelled(const ProcDir& self) {
  // The answer of most machines is an error, and to find words for one takes as long as a process
  // takes to ask the kernel for 30 things: the first time, absl looks up the words for all.
  const absl::StatusOr<UniqueFd> file = self.Open("attr/current", O_RDONLY);
  if (!file.ok()) return !absl::IsNotFound(file.status());
  char byte;
  return read(file->get(), &byte, 1) >= 0 || errno != EINVAL;
}

ResourceRefusals RefuseSecurityLabel(pid_t pid, const std::string& theirs,
                                     const std::string& ours) {
  if (theirs == ours) return {};
  return {{pid, absl::StrCat("security label ", theirs.empty() ? "(none)" : theirs),
           "labels of AppArmor, SELinux and the like are not saved by this version",
           absl::StrCat("run dumpctl, and the restore, under the same one instead of ",
                        ours.empty() ? "none" : ours)}};
}

}  // namespace dumpctl
