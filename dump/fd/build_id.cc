#include "dump/fd/build_id.h"

#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "proc/elf_notes.h"

namespace dumpctl {
namespace {

// More than any linker writes; what is larger is not looked at.
constexpr size_t kMostSegments = 128;
constexpr size_t kMostNoteBytes = 64 * 1024;

// A file, whose first page holds all that is asked for in those that linkers of today write.
class File {
 public:
  explicit File(int fd) : fd_(fd) {
    const ssize_t n = pread(fd_, head_.data(), head_.size(), 0);
    size_ = n > 0 ? static_cast<size_t>(n) : 0;
  }

  bool Read(uint64_t offset, std::span<char> to) const {
    if (offset <= size_ && to.size() <= size_ - offset) {
      std::memcpy(to.data(), head_.data() + offset, to.size());
      return true;
    }
    return pread(fd_, to.data(), to.size(), static_cast<off_t>(offset)) ==
           static_cast<ssize_t>(to.size());
  }

  template <typename T>
  std::optional<T> Read(uint64_t offset) const {
    std::array<char, sizeof(T)> bytes;
    if (!Read(offset, bytes)) return std::nullopt;
    return std::bit_cast<T>(bytes);
  }

 private:
  int fd_;
  std::array<char, 4096> head_;
  size_t size_ = 0;
};

std::vector<uint32_t> WordsOf(std::string_view id) {
  std::vector<uint32_t> words((id.size() + 3) / 4);
  std::memcpy(words.data(), id.data(), id.size());
  return words;
}

}  // namespace

std::vector<uint32_t> ReadBuildId(int fd) {
  const File file(fd);
  const auto header = file.Read<Elf64_Ehdr>(0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_phentsize != sizeof(Elf64_Phdr)) {
    return {};
  }
  const size_t segments = std::min<size_t>(header->e_phnum, kMostSegments);
  for (size_t i = 0; i < segments; ++i) {
    const auto segment = file.Read<Elf64_Phdr>(header->e_phoff + i * sizeof(Elf64_Phdr));
    if (!segment) return {};
    if (segment->p_type != PT_NOTE) continue;
    std::vector<char> notes(std::min<size_t>(segment->p_filesz, kMostNoteBytes));
    if (!file.Read(segment->p_offset, notes)) continue;
    const std::string_view id = FindBuildId({notes.data(), notes.size()});
    if (!id.empty()) return WordsOf(id);
  }
  return {};
}

}  // namespace dumpctl
