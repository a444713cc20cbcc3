#include "proc/proc_fs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstddef>
#include <span>

#include "absl/strings/str_cat.h"
#include "dumpctl/directory_names.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

constexpr char kProc[] = "/proc";
// Most files are shorter than a page. Room is doubled for longer ones, up to this at a time:
// filling more with zeros for every little file costs more than all of its system calls.
constexpr size_t kFirstChunk = 4096;
constexpr size_t kMostChunk = 256 * 1024;

absl::StatusOr<UniqueFd> OpenDirectory(const std::string& path) {
  UniqueFd dir(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return absl::ErrnoToStatus(errno, path);
  return dir;
}

// read(2), begun again when a signal interrupts it.
ssize_t ReadSome(const UniqueFd& file, std::span<char> buffer) {
  for (;;) {
    const ssize_t n = read(file.get(), buffer.data(), buffer.size());
    if (n >= 0 || errno != EINTR) return n;
  }
}

}  // namespace

absl::StatusOr<ProcDir> ProcDir::OpenTask(pid_t pid) {
  std::string path = absl::StrCat(kProc, "/", pid);
  ASSIGN_OR_RETURN(UniqueFd dir, OpenDirectory(path));
  return ProcDir(std::move(dir), std::move(path));
}

absl::StatusOr<ProcDir> ProcDir::OpenOwn() {
  const pid_t pid = getpid();
  static const pid_t first = pid;
  static const absl::StatusOr<ProcDir> dir = OpenTask(first);
  return dir.ok() && pid == first ? dir : OpenTask(pid);
}

absl::StatusOr<ProcDir> ProcDir::OpenRoot() {
  const auto open = []() -> absl::StatusOr<ProcDir> {
    ASSIGN_OR_RETURN(UniqueFd dir, OpenDirectory(kProc));
    return ProcDir(std::move(dir), kProc);
  };
  static const absl::StatusOr<ProcDir> root = open();
  return root.ok() ? root : open();
}

absl::StatusOr<ProcDir> ProcDir::OpenThread(pid_t tid) const {
  const std::string name = absl::StrCat("task/", tid);
  ASSIGN_OR_RETURN(UniqueFd dir, Open(name, O_PATH | O_DIRECTORY));
  return ProcDir(std::move(dir), absl::StrCat(path(), "/", name));
}

absl::Status ProcDir::Error(int error, std::string_view name) const {
  std::string what = path();
  what.append("/").append(name);
  // ESRCH is what an open file of a task that has been reaped answers.
  if (error == ESRCH || error == ENOENT) return absl::NotFoundError(absl::StrCat(what, " is gone"));
  return absl::ErrnoToStatus(error, what);
}

absl::StatusOr<UniqueFd> ProcDir::Open(std::string_view name, int flags) const {
  UniqueFd file(openat(fd().get(), std::string(name).c_str(), flags | O_CLOEXEC));
  if (!file) return Error(errno, name);
  return file;
}

absl::StatusOr<std::string> ProcDir::Read(std::string_view name) const {
  ASSIGN_OR_RETURN(UniqueFd file, Open(name, O_RDONLY));
  // What is short takes no more memory than it has characters: there may be thousands of them.
  std::array<char, kFirstChunk> first;
  std::string text;
  std::span<char> room(first);
  size_t used = 0;
  for (;;) {
    const ssize_t n = ReadSome(file, room.subspan(used));
    if (n < 0) return Error(errno, name);
    if (n == 0) break;
    used += static_cast<size_t>(n);
    // A read into little room would end early and need another one.
    if (room.size() - used >= kFirstChunk / 4) continue;
    if (text.empty()) text.assign(first.data(), used);
    text.resize(text.size() + std::clamp(text.size(), kFirstChunk, kMostChunk));
    room = text;
  }
  if (text.empty()) return std::string(first.data(), used);
  text.resize(used);
  return text;
}

absl::Status ProcDir::ReadPieces(std::string_view name,
                                 absl::FunctionRef<absl::Status(std::string_view)> take) const {
  ASSIGN_OR_RETURN(const UniqueFd file, Open(name, O_RDONLY));
  // The kernel gives a page of text at a time, or what is longer than that and belongs together.
  char buffer[4 * kFirstChunk];
  for (;;) {
    const ssize_t n = ReadSome(file, buffer);
    if (n < 0) return Error(errno, name);
    if (n == 0) return absl::OkStatus();
    RETURN_IF_ERROR(take({buffer, static_cast<size_t>(n)}));
  }
}

absl::StatusOr<std::string> ProcDir::ReadWhole(std::string_view name) const {
  ASSIGN_OR_RETURN(UniqueFd file, Open(name, O_RDONLY));
  std::array<char, kFirstChunk> buffer;
  const ssize_t n = ReadSome(file, buffer);
  if (n < 0) return Error(errno, name);
  if (static_cast<size_t>(n) == buffer.size()) return Read(name);
  return std::string(buffer.data(), static_cast<size_t>(n));
}

absl::StatusOr<std::string> ProcDir::ReadLink(std::string_view name) const {
  // Links of procfs may name paths up to a page long; one byte more tells truncation apart.
  std::array<char, PATH_MAX + 1> target;
  const ssize_t n = readlinkat(fd().get(), std::string(name).c_str(), target.data(), target.size());
  if (n < 0) return Error(errno, name);
  return std::string(target.data(), static_cast<size_t>(n));
}

absl::StatusOr<std::vector<std::string>> ProcDir::List(std::string_view name) const {
  ASSIGN_OR_RETURN(UniqueFd file, Open(name, O_RDONLY | O_DIRECTORY));
  std::vector<std::string> names;
  const int error = AddNames(BorrowedFd(file), names);
  if (error != 0) return Error(error, name);
  return names;
}

absl::StatusOr<std::vector<int>> ListNumbers(const ProcDir& dir, std::string_view name) {
  ASSIGN_OR_RETURN(std::vector<std::string> names, dir.List(name));
  std::vector<int> numbers;
  numbers.reserve(names.size());
  for (const std::string& text : names) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) numbers.push_back(value);
  }
  return numbers;
}

std::string ThreadFile(pid_t pid, pid_t tid, const char* name) {
  return tid == pid ? name : absl::StrCat("task/", tid, "/", name);
}

size_t CountThreads(const ProcDir& process) {
  constexpr nlink_t kOwn = 2;
  struct stat stat = {};
  if (fstatat(process.fd().get(), "task", &stat, 0) < 0 || stat.st_nlink < kOwn) return 0;
  return stat.st_nlink - kOwn;
}

absl::StatusOr<std::vector<int>> ListThreads(const ProcDir& process, pid_t pid) {
  if (CountThreads(process) == 1) return std::vector<int>{pid};
  return ListNumbers(process, "task");
}

}  // namespace dumpctl
