#include "proc/kept_layout.h"

#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "absl/strings/str_cat.h"
#include "dumpctl/unique_fd.h"
#include "proc/elf_notes.h"

namespace dumpctl {
namespace {

constexpr size_t kIdSize = 20;

// Of the usual size; empty where there is none.
std::string_view UsualBuildId(std::string_view notes) {
  const std::string_view id = FindBuildId(notes);
  return id.size() == kIdSize ? id : std::string_view();
}

// The first that is told of is this program.
int TakeOwn(dl_phdr_info* program, size_t /*size*/, void* id) {
  for (const ElfW(Phdr)* part = program->dlpi_phdr;
       part != program->dlpi_phdr + program->dlpi_phnum; ++part) {
    std::string& own = *static_cast<std::string*>(id);
    if (part->p_type != PT_NOTE || !own.empty()) continue;
    own = UsualBuildId(
        {reinterpret_cast<const char*>(program->dlpi_addr + part->p_vaddr), part->p_memsz});
  }
  return 1;
}

std::string OwnBuildId() {
  std::string id;
  dl_iterate_phdr(TakeOwn, &id);
  return id;
}

std::string KernelBuildId() {
  const UniqueFd file(open("/sys/kernel/notes", O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> notes;
  const ssize_t size = file ? read(file.get(), notes.data(), notes.size()) : -1;
  if (size <= 0) return "";
  return std::string(UsualBuildId({notes.data(), static_cast<size_t>(size)}));
}

std::string Key() {
  const std::string own = OwnBuildId();
  const std::string kernel = KernelBuildId();
  return own.empty() || kernel.empty() ? "" : kernel + own;
}

// Nobody else may write to it.
bool IsOursAlone(const UniqueFd& file, mode_t type) {
  struct stat stat = {};
  return fstat(file.get(), &stat) == 0 && (stat.st_mode & S_IFMT) == type &&
         stat.st_uid == geteuid() && (stat.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

}  // namespace

const LayoutStore& LayoutStore::OfThisMachine() {
  static const LayoutStore* const store = new LayoutStore("/run/dumpctl");
  return *store;
}

LayoutStore::LayoutStore(std::string directory) : directory_(std::move(directory)), key_(Key()) {}

UniqueFd LayoutStore::Open() const {
  UniqueFd directory;
  if (!key_.empty()) {
    directory.Reset(open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  }
  if (directory && !IsOursAlone(directory, S_IFDIR)) directory.Reset();
  return directory;
}

UniqueFd LayoutStore::Make() const {
  if (!key_.empty()) mkdir(directory_.c_str(), 0700);
  return Open();
}

std::string LayoutStore::HeadOf(std::string_view name) const {
  return absl::StrCat(key_, std::string(name), std::string(1, '\0'));
}

std::optional<std::string> LayoutStore::Find(std::string_view name, size_t size) const {
  const UniqueFd directory = Open();
  if (!directory) return std::nullopt;
  const UniqueFd file(openat(directory.get(), std::string(name).c_str(),
                             O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file || !IsOursAlone(file, S_IFREG)) return std::nullopt;
  const std::string head = HeadOf(name);
  // One byte of room more, so that a longer one is seen to be.
  std::string kept(head.size() + size + 1, '\0');
  if (read(file.get(), kept.data(), kept.size()) != static_cast<ssize_t>(head.size() + size) ||
      !kept.starts_with(head)) {
    return std::nullopt;
  }
  return kept.substr(head.size(), size);
}

bool LayoutStore::Keeps() const {
  const UniqueFd directory = Make();
  return directory && faccessat(directory.get(), ".", W_OK | X_OK, AT_EACCESS) == 0;
}

void LayoutStore::Keep(std::string_view name, std::string_view layout) const {
  const UniqueFd directory = Make();
  if (!directory) return;
  // Without a name until it is whole: whoever is killed leaves nothing.
  const UniqueFd file(openat(directory.get(), ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600));
  const std::string bytes = absl::StrCat(HeadOf(name), std::string(layout));
  if (!file || write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    return;
  const std::string path(name);
  unlinkat(directory.get(), path.c_str(), 0);
  const std::string from = absl::StrCat("/proc/self/fd/", file.get());
  linkat(AT_FDCWD, from.c_str(), directory.get(), path.c_str(), AT_SYMLINK_FOLLOW);
}

}  // namespace dumpctl
