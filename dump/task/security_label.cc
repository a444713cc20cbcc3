#include "dump/task/security_label.h"

#include "absl/strings/str_cat.h"

namespace dumpctl {

std::string SecurityLabelOf(const ProcDir& task) {
  // EINVAL without a module that has labels. SELinux ends its text with a zero, AppArmor with a
  // newline.
  std::string label = task.Read("attr/current").value_or("");
  label.erase(label.find_last_not_of(std::string_view("\0\n", 2)) + 1);
  return label;
}

bool AreTasksLabelled(const ProcDir& self) {
  const absl::Status read = self.Read("attr/current").status();
  return !absl::IsInvalidArgument(read) && !absl::IsNotFound(read);
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
