#ifndef DUMP_FD_FILE_LOCKS_H_
#define DUMP_FD_FILE_LOCKS_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dumpctl/resource_refusal.h"
#include "proto/files.pb.h"

namespace dumpctl {

// filelocks.img while it is built. `locks` are those of FdInfo.
class FileLocks {
 public:
  // Of descriptor `number` of `pid`, which is the open file `file_id`. A lock of an open file that
  // several descriptors refer to is told once, with the first.
  absl::Status Add(pid_t pid, int number, uint32_t file_id, const std::vector<std::string>& locks);

  const std::vector<image::file_lock_entry>& entries() const { return entries_; }

 private:
  std::set<std::pair<uint32_t, std::string>> known_;
  std::vector<image::file_lock_entry> entries_;
};

// Why such locks cannot be dumped; `wanted`: --file-locks. DataLoss of a malformed one.
absl::StatusOr<std::optional<WhyNot>> WhyNotLocked(const std::vector<std::string>& locks,
                                                   bool wanted);

// Whether a lease is among the locks of that fdinfo. Whoever opens such a file breaks it.
bool HasLease(std::string_view info_text);

}  // namespace dumpctl

#endif  // DUMP_FD_FILE_LOCKS_H_
