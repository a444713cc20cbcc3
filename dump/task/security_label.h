#ifndef DUMP_TASK_SECURITY_LABEL_H_
#define DUMP_TASK_SECURITY_LABEL_H_

#include <sys/types.h>

#include <string>

#include "dumpctl/resource_refusal.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// What a security module calls a task: "unconfined" or a profile with its mode (AppArmor), a
// context (SELinux). Empty where no module has a name for it.
std::string SecurityLabelOf(const ProcDir& task);

// Whether there is a module that has names for tasks. Where there is none the kernel answers so for
// each of them alike, `self` too.
bool AreTasksLabelled(const ProcDir& self);

// Labels are not saved: who is called like the dumper will be called like the restore.
ResourceRefusals RefuseSecurityLabel(pid_t pid, const std::string& theirs, const std::string& ours);

}  // namespace dumpctl

#endif  // DUMP_TASK_SECURITY_LABEL_H_
