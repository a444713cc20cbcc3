#include "proc/elf_notes.h"

#include <elf.h>

#include <cstring>

namespace dumpctl {
namespace {

constexpr size_t kMostIdBytes = 64;

size_t AlignedNote(size_t size) { return (size + 3) / 4 * 4; }

}  // namespace

std::string_view FindBuildId(std::string_view notes) {
  constexpr std::string_view kOwner(ELF_NOTE_GNU, sizeof ELF_NOTE_GNU);
  size_t at = 0;
  while (at + sizeof(Elf64_Nhdr) <= notes.size()) {
    Elf64_Nhdr note;
    std::memcpy(&note, notes.data() + at, sizeof note);
    const size_t name = at + sizeof note;
    const size_t desc = name + AlignedNote(note.n_namesz);
    const size_t end = desc + AlignedNote(note.n_descsz);
    if (desc < name || end < desc || end > notes.size()) return {};
    if (note.n_type == NT_GNU_BUILD_ID && notes.substr(name, note.n_namesz) == kOwner &&
        note.n_descsz > 0 && note.n_descsz <= kMostIdBytes) {
      return notes.substr(desc, note.n_descsz);
    }
    at = end;
  }
  return {};
}

}  // namespace dumpctl
