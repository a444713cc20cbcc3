#ifndef DUMP_FD_PIDFD_FILE_H_
#define DUMP_FD_PIDFD_FILE_H_

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "dumpctl/resource_refusal.h"
#include "proto/special_files.pb.h"

namespace dumpctl {

// Descriptors of processes (pidfd_open(2)).

// Why a restore could not bring it back; nothing when it can. `flags` as fdinfo has them.
// `is_in_tree` tells whether a process is dumped too, as a zombie maybe. Errors: those of the
// parser.
absl::StatusOr<std::optional<WhyNot>> WhyNotPidfd(std::string_view info_text, uint32_t flags,
                                                  const std::function<bool(pid_t)>& is_in_tree);

// Its entry, but for its id and its owner. `inode` is the descriptor's: those of one process that
// is dead and gone have the same (Linux 6.9; before, all have).
absl::StatusOr<image::pidfd_entry> PidfdEntry(std::string_view info_text, uint32_t flags,
                                              ino_t inode);

}  // namespace dumpctl

#endif  // DUMP_FD_PIDFD_FILE_H_
