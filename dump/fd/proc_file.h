#ifndef DUMP_FD_PROC_FILE_H_
#define DUMP_FD_PROC_FILE_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "dumpctl/resource_refusal.h"

namespace dumpctl {

// A file of procfs that tells of one task.
struct ProcFile {
  pid_t pid = 0;
  std::string rest;   // below its directory: "task/12/stat"; empty for the directory itself
  bool dead = false;  // there is no such task any more: a restore makes one for a moment
};

// What a path is there, if it is one. Asks the file system.
std::optional<ProcFile> ProcFileAt(const struct stat& stat, const std::string& path);

// Why no restore can open it: it comes to be only after files are opened.
std::optional<WhyNotText> WhyNotProcFile(const ProcFile& file);

// Whether it is a thread other than its process's first. A restore makes threads last of all, so
// that nothing can refer to one before. NotFound when it has gone.
absl::StatusOr<bool> IsLaterThread(pid_t tid);

}  // namespace dumpctl

#endif  // DUMP_FD_PROC_FILE_H_
