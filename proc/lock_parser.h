#ifndef PROC_LOCK_PARSER_H_
#define PROC_LOCK_PARSER_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"

namespace dumpctl {

// A lock on a file, as a "lock:" line of fdinfo tells it (FdInfo::locks; proc_locks(5)).
struct FileLock {
  enum class Kind : uint8_t {
    kPosix,  // fcntl(2): F_SETLK; of a descriptor table
    kFlock,  // flock(2); of an open file, as the others
    kOfd,    // fcntl(2): F_OFD_SETLK
    kLease,  // fcntl(2): F_SETLEASE
    kOther,  // delegations, mandatory locks (before Linux 5.15)
  };
  Kind kind = Kind::kOther;
  bool write = false;            // exclusive
  bool breaking = false;         // a lease that somebody waits for
  uint64_t start = 0;            // bytes
  std::optional<uint64_t> last;  // the last byte; none: to the end of the file
  friend bool operator==(const FileLock&, const FileLock&) = default;
};

// `text` is that of FdInfo::locks: "1: POSIX  ADVISORY  WRITE 359 fe:00:4711 0 EOF". DataLoss,
// naming the field and quoting the text.
absl::StatusOr<FileLock> ParseFileLock(std::string_view text);

}  // namespace dumpctl

#endif  // PROC_LOCK_PARSER_H_
