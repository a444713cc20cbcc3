#include "dump/fd/file_name.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/fd/names_seen.h"

namespace dumpctl {
namespace {

constexpr std::string_view kDeletedSuffix = " (deleted)";
// A restore makes a ghost beside its name, with ".cr.", its number and ".ghost" behind it.
constexpr size_t kLongestGhostName = 255 - 18;

// The mount in which a path, or as much of it as exists, is found; 0 when the kernel does not say.
uint64_t MountOf(std::string path) {
  for (;;) {
    struct statx found = {};
    if (statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &found) == 0) {
      return (found.stx_mask & STATX_MNT_ID) != 0 ? found.stx_mnt_id : 0;
    }
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos || path.size() == 1) return 0;
    path.resize(std::max<size_t>(slash, 1));
  }
}

// sem_open(3) makes a semaphore under a name that it draws, gives it the one it was asked for, and
// removes the first, by which its maker has it mapped for ever. Both are in one directory.
void FindSemaphore(const struct stat& stat, FileName& name) {
  constexpr std::string_view kDirectory = "/dev/shm/";
  constexpr std::string_view kPrefix = "sem.";
  if (!name.linked(stat) || !name.path.starts_with(absl::StrCat(std::string(kDirectory), "sem."))) {
    return;
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> shared(opendir(kDirectory.data()), closedir);
  while (const dirent* entry = shared ? readdir(shared.get()) : nullptr) {
    if (entry->d_ino != stat.st_ino || !std::string_view(entry->d_name).starts_with(kPrefix)) {
      continue;
    }
    std::string path = absl::StrCat(std::string(kDirectory), entry->d_name);
    if (!LeadsTo(path, stat)) continue;
    name = {.path = std::move(path)};
    return;
  }
}

std::string DirectoryOf(const FileName& name) {
  return name.path.substr(0, name.path.rfind('/') + 1);
}

std::optional<WhyNotText> WhyNotGhost(const struct stat& stat, const FileName& name,
                                      const FileRules& rules) {
  if (stat.st_dev == rules.kernel_tmpfs) {
    return WhyNotText{"it is memory of the kernel's own that never had a name",
                      "let the program close it"};
  }
  if (name.path.size() - (name.path.rfind('/') + 1) > kLongestGhostName) {
    return WhyNotText{
        "it is deleted, and beside a name of that length a restore has no room for "
        "the one that it makes it by",
        "let the program use shorter names"};
  }
  struct stat parent = {};
  const bool exists = fstatat(AT_FDCWD, DirectoryOf(name).c_str(), &parent, 0) == 0;
  if (exists ? !S_ISDIR(parent.st_mode) : errno == ENOTDIR) {
    return WhyNotText{"it is deleted, and a file is by now where its directory was",
                      "move that file away"};
  }
  struct statfs system = {};
  if (exists && statfs(DirectoryOf(name).c_str(), &system) == 0 &&
      system.f_type == HUGETLBFS_MAGIC && S_ISREG(stat.st_mode)) {
    return WhyNotText{"it is deleted, and to files of hugetlbfs a restore cannot write",
                      "let the program close it"};
  }
  if (S_ISSOCK(stat.st_mode)) {
    return WhyNotText{"it is the deleted name of a socket, which no restore can make",
                      "let the program close it"};
  }
  const uint64_t bytes = DataBytes(stat);
  if (!S_ISREG(stat.st_mode) || bytes <= rules.ghost_limit) return std::nullopt;
  return WhyNotText{absl::StrCat("it is deleted, and of its ", bytes,
                                 " bytes --ghost-limit allows ", rules.ghost_limit),
                    absl::StrCat("add --ghost-limit ", bytes)};
}

// It needs another name beside the one it had.
std::optional<WhyNotText> WhyNotLinked(const struct stat& stat, const FileName& name,
                                       const FileRules& rules) {
  if (!rules.link_remap) {
    return WhyNotText{"this name of it is deleted, and no file system tells its others",
                      "add --link-remap, which makes one beside it for the restore, or give it "
                      "this name again (ln)"};
  }
  if (rules.leave_running) {
    return WhyNotText{
        "this name of it is deleted, and a process that runs on would see the one "
        "that --link-remap makes for the restore",
        "dump it without --leave-running (-R), or give it this name again (ln)"};
  }
  struct stat parent = {};
  if (fstatat(AT_FDCWD, DirectoryOf(name).c_str(), &parent, 0) == 0 &&
      parent.st_dev == stat.st_dev && !S_ISDIR(stat.st_mode)) {
    return std::nullopt;
  }
  return WhyNotText{"this name of it is deleted, and there is no directory to make another in",
                    "make the directory again, or give it this name again (ln)"};
}

}  // namespace

bool LeadsTo(const std::string& path, const struct stat& stat) {
  struct stat there = {};
  return path.starts_with('/') &&
         fstatat(AT_FDCWD, path.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
         there.st_dev == stat.st_dev && there.st_ino == stat.st_ino;
}

std::string ExternalFile::Name() const {
  return absl::StrCat("file[", absl::Hex(mount_id), ":", absl::Hex(inode), "]");
}

std::optional<ExternalFile> ParseExternalFile(std::string_view text) {
  constexpr std::string_view kBegin = "file[";
  if (!text.starts_with(kBegin) || !text.ends_with(']')) return std::nullopt;
  text = text.substr(kBegin.size(), text.size() - kBegin.size() - 1);
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  ExternalFile file;
  const auto take = [](std::string_view digits, auto& number) {
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
    return error == std::errc() && end == digits.data() + digits.size();
  };
  if (!take(text.substr(0, colon), file.mount_id) || !take(text.substr(colon + 1), file.inode)) {
    return std::nullopt;
  }
  return file;
}

std::optional<ExternalFile> ExternalAmong(const FileRules& rules, const struct stat& stat,
                                          uint64_t mount_id) {
  const ExternalFile file{mount_id, stat.st_ino};
  const bool is_external =
      std::find(rules.external.begin(), rules.external.end(), file) != rules.external.end();
  return is_external ? std::optional(file) : std::nullopt;
}

uint64_t DataBytes(const struct stat& stat) {
  constexpr uint64_t kBlock = 512;
  return std::min(static_cast<uint64_t>(stat.st_size),
                  static_cast<uint64_t>(stat.st_blocks) * kBlock);
}

FileName ReadName(const struct stat& stat, const std::string& link, const FileRules& rules) {
  if (rules.seen) return rules.seen->Read(stat, link);
  FileName name{.path = link};
  if (!link.starts_with('/')) return name;
  if (link.ends_with(kDeletedSuffix) && (stat.st_nlink == 0 || !LeadsTo(link, stat))) {
    name.path.resize(link.size() - kDeletedSuffix.size());
    name.deleted = true;
  }
  FindSemaphore(stat, name);
  // Of what a dead task had the kernel says that it is deleted only once somebody has looked for
  // it.
  name.proc = ProcFileAt(stat, name.path);
  return name;
}

FileName ReadMappedName(const struct stat& stat, const std::string& path, bool deleted,
                        const FileRules& rules) {
  FileName name{.path = path, .deleted = deleted};
  if (!deleted) return name;
  if (rules.seen) return rules.seen->ReadMapped(stat, path, deleted);
  FindSemaphore(stat, name);
  return name;
}

NameVerdict JudgeName(const struct stat& stat, const FileName& name, const FileRules& rules) {
  if (name.proc) {
    if (std::optional<WhyNotText> why_not = WhyNotProcFile(*name.proc)) return {why_not};
    if (name.proc->dead) return {};
  }
  if (name.ghost(stat)) return {WhyNotGhost(stat, name, rules)};
  if (name.linked(stat)) return {WhyNotLinked(stat, name, rules)};
  if (LeadsTo(name.path, stat)) return {};
  return {
      WhyNotText{"its path leads to another file or to none", "put the file back under its path"},
      MountOf(name.path)};
}

std::optional<WhyNotText> WhyNotNamed(const struct stat& stat, const FileName& name,
                                      uint64_t mount_id, const FileRules& rules) {
  if (ExternalAmong(rules, stat, mount_id)) return std::nullopt;
  NameVerdict verdict =
      rules.seen ? rules.seen->Judge(stat, name, rules) : JudgeName(stat, name, rules);
  if (mount_id != 0 && verdict.led_to != 0 && verdict.led_to != mount_id) {
    return WhyNotText{"another mount lies over its path, or its own was unmounted",
                      "unmount what lies over it"};
  }
  return std::move(verdict.why_not);
}

}  // namespace dumpctl
