#include "dump/image/run_mark.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace dumpctl {

uint64_t RunMark(std::string_view run_id) {
  // FNV-1a: both ends may be of different builds.
  uint64_t mark = 0xcbf29ce484222325;
  for (const char c : run_id) mark = (mark ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return mark == 0 ? 1 : mark;
}

std::string RunMarkLine(uint64_t mark) { return absl::StrCat(absl::Hex(mark), "\n"); }

absl::StatusOr<std::string> PagemapLine(BorrowedFd directory, const std::string& name) {
  struct stat there = {};
  if (fstatat(directory.get(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) < 0) {
    return absl::ErrnoToStatus(errno, name);
  }
  return absl::StrCat(name, " ", there.st_size, " ", there.st_mtim.tv_sec, ".",
                      absl::Dec(there.st_mtim.tv_nsec, absl::kZeroPad9), "\n");
}

bool HasSent(std::string_view file, uint64_t mark, std::string_view pagemap_line) {
  const std::string head = RunMarkLine(mark);
  if (!file.starts_with(head)) return false;
  // From the end of the line before on.
  return file.substr(head.size() - 1).find("\n" + std::string(pagemap_line)) !=
         std::string_view::npos;
}

}  // namespace dumpctl
