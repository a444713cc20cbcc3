#include "proc/lock_parser.h"

#include <vector>

#include "proc/text_fields.h"

namespace dumpctl {
namespace {

FileLock::Kind KindOf(std::string_view kind, std::string_view mode) {
  if (mode == "ADVISORY") {
    if (kind == "POSIX") return FileLock::Kind::kPosix;
    if (kind == "FLOCK") return FileLock::Kind::kFlock;
    if (kind == "OFDLCK") return FileLock::Kind::kOfd;
  }
  return kind == "LEASE" ? FileLock::Kind::kLease : FileLock::Kind::kOther;
}

}  // namespace

absl::StatusOr<FileLock> ParseFileLock(std::string_view text) {
  // Number, kind, mode, access, pid (-1 of an open file's), file, start, last byte.
  const std::vector<std::string_view> words = Words(text);
  if (words.size() != 8 || !words[0].ends_with(':')) return MalformedText("lock", "fields", text);
  const std::string_view mode = words[2];
  const std::string_view access = words[3];
  FileLock lock{.kind = KindOf(words[1], mode), .write = access == "WRITE"};
  lock.breaking = lock.kind == FileLock::Kind::kLease && mode != "ACTIVE";
  // A lease that is being given up for nothing is UNLCK.
  if (lock.kind != FileLock::Kind::kOther && !lock.breaking && access != "READ" && !lock.write) {
    return MalformedText("lock", "access", text);
  }
  const auto start = NumberOf<uint64_t>(words[6]);
  if (!start) return MalformedText("lock", "start", text);
  lock.start = *start;
  if (words[7] == "EOF") return lock;
  lock.last = NumberOf<uint64_t>(words[7]);
  if (!lock.last || *lock.last < lock.start) return MalformedText("lock", "end", text);
  return lock;
}

}  // namespace dumpctl
