#ifndef DUMP_FD_EPOLL_FILE_H_
#define DUMP_FD_EPOLL_FILE_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"
#include "proto/events.pb.h"

namespace dumpctl {

// What an epoll(7) watches, under the numbers by which a restore finds it again.

struct EpollWatches {
  image::eventpoll_file_entry entry;  // but for id, flags and owner
  // Numbers under which a file was added that no descriptor of the task, or none that is not
  // watched itself, refers to any more.
  std::vector<int> lost;
};

// `epoll` is its number in `pid`, `info_text` its fdinfo, `numbers` are those of all descriptors
// there that may be watched, ascending. A file is watched under the number by which it
// was added, whatever became of that; one that was closed or moved is named by another descriptor
// of it. Asked by kcmp(2) while the task is frozen: KCMP_EPOLL_TFD (Linux 4.13).
//
// Errors: those of the parser, FailedPrecondition without kcmp (CONFIG_KCMP).
absl::StatusOr<EpollWatches> ReadEpollWatches(pid_t pid, int epoll, std::string_view info_text,
                                              const std::vector<int>& numbers);

}  // namespace dumpctl

#endif  // DUMP_FD_EPOLL_FILE_H_
