#include "dump/fd/build_id.h"

#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <span>

namespace dumpctl {
namespace {

// More than any linker writes; what is larger is not looked at.
constexpr size_t kMostSegments = 128;
constexpr size_t kMostNoteBytes = 64 * 1024;
constexpr size_t kMostIdBytes = 64;

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

size_t Aligned(size_t size) { return (size + 3) / 4 * 4; }

std::vector<uint32_t> FindIn(const std::vector<char>& notes) {
  size_t at = 0;
  while (at + sizeof(Elf64_Nhdr) <= notes.size()) {
    Elf64_Nhdr note;
    std::memcpy(&note, notes.data() + at, sizeof note);
    const size_t name = at + sizeof note;
    const size_t desc = name + Aligned(note.n_namesz);
    const size_t end = desc + Aligned(note.n_descsz);
    if (desc < name || end < desc || end > notes.size()) return {};
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof ELF_NOTE_GNU &&
        std::memcmp(notes.data() + name, ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) == 0 &&
        note.n_descsz > 0 && note.n_descsz <= kMostIdBytes) {
      std::vector<uint32_t> words(Aligned(note.n_descsz) / 4);
      std::memcpy(words.data(), notes.data() + desc, note.n_descsz);
      return words;
    }
    at = end;
  }
  return {};
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
    if (std::vector<uint32_t> id = FindIn(notes); !id.empty()) return id;
  }
  return {};
}

}  // namespace dumpctl
