#ifndef DUMP_SESSION_NAMED_FILES_H_
#define DUMP_SESSION_NAMED_FILES_H_

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "dump/fd/file_name.h"
#include "dump/session/target.h"
#include "dumpctl/resource_refusal.h"
#include "proc/vma_list.h"

namespace dumpctl {

// What cannot be dumped among files that no descriptor of a running task holds: those it maps.
ResourceRefusals RefuseMappedFiles(pid_t pid, const VmaList& vmas, const FileRules& rules);

// The same of its program and directories.
absl::StatusOr<ResourceRefusals> RefuseLinkedFiles(const Target& target, const FileRules& rules);

}  // namespace dumpctl

#endif  // DUMP_SESSION_NAMED_FILES_H_
