#ifndef PROC_CHILDREN_PARSER_H_
#define PROC_CHILDREN_PARSER_H_

#include <sys/types.h>

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dumpctl {

// The children of one thread from /proc/PID/task/TID/children (proc_tid_children(5), Linux 3.5 with
// CONFIG_PROC_CHILDREN): pids as the reader's namespace has them, oldest first. It is whole only
// while the thread and all its children are frozen: a child that exits while the file is read may
// hide others.
//
// Errors: DataLoss, quoting the text.
absl::StatusOr<std::vector<pid_t>> ParseChildren(std::string_view text);

}  // namespace dumpctl

#endif  // PROC_CHILDREN_PARSER_H_
