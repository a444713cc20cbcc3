#include "dump/fd/file_locks.h"

#include "dumpctl/status_macros.h"
#include "proc/lock_parser.h"

namespace dumpctl {
namespace {

constexpr WhyNot kUnwanted = {"it holds a lock on it",
                              "add --file-locks (-l), to the restore as well: without, it leaves "
                              "all locks off"};
constexpr WhyNot kBreaking = {"its lease is being broken",
                              "dump it when the program has given the lease up"};
constexpr WhyNot kOther = {"it holds a lock of a kind that no restore sets",
                           "let the program release it"};

// What a file_lock_entry calls them.
uint32_t FlagOf(FileLock::Kind kind) {
  switch (kind) {
    case FileLock::Kind::kPosix:
      return 1;
    case FileLock::Kind::kFlock:
      return 2;
    case FileLock::Kind::kOfd:
      return 4;
    case FileLock::Kind::kLease:
      return 8;
    case FileLock::Kind::kOther:
      return 0;
  }
  return 0;
}

// Without its number, which says only how many others were told before.
std::string WithoutNumber(const std::string& lock) { return lock.substr(lock.find(':') + 1); }

}  // namespace

absl::Status FileLocks::Add(pid_t pid, int number, uint32_t file_id,
                            const std::vector<std::string>& locks) {
  for (const std::string& text : locks) {
    if (!known_.insert({file_id, WithoutNumber(text)}).second) continue;
    ASSIGN_OR_RETURN(const FileLock lock, ParseFileLock(text));
    image::file_lock_entry& entry = entries_.emplace_back();
    entry.set_flag(FlagOf(lock.kind));
    entry.set_type(lock.write ? 1 : 0);  // F_WRLCK, F_RDLCK
    entry.set_pid(pid);
    entry.set_fd(number);
    entry.set_start(static_cast<int64_t>(lock.start));
    // 0: to the end of the file, as fcntl(2) has it.
    entry.set_len(lock.last ? static_cast<int64_t>(*lock.last - lock.start + 1) : 0);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<WhyNot>> WhyNotLocked(const std::vector<std::string>& locks,
                                                   bool wanted) {
  std::optional<WhyNot> why_not;
  for (const std::string& text : locks) {
    ASSIGN_OR_RETURN(const FileLock lock, ParseFileLock(text));
    if (lock.breaking) return kBreaking;
    if (lock.kind == FileLock::Kind::kOther) return kOther;
    if (!wanted) why_not = kUnwanted;
  }
  return why_not;
}

bool HasLease(std::string_view info_text) {
  return info_text.find(": LEASE ") != std::string_view::npos;
}

}  // namespace dumpctl
