#include "dump/tracee/injection_site.h"

#include <elf.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "proc/auxv_parser.h"
#include "proc/smaps_parser.h"

namespace dumpctl {
namespace {

constexpr uint64_t kAlignment = 16;

uint64_t PageSize() { return static_cast<uint64_t>(sysconf(_SC_PAGESIZE)); }

// An address range that may be used, all of it behind what the ELF image holds.
struct Room {
  RemoteAddress begin;
  RemoteAddress end;
};

Room RoomUpToPage(RemoteAddress begin) {
  const uint64_t page = PageSize();
  const auto up = [begin](uint64_t unit) { return begin + (unit - begin.value() % unit) % unit; };
  return {.begin = up(kAlignment), .end = up(page)};
}

absl::StatusOr<RemoteAddress> VdsoAddress(std::string_view text) {
  ASSIGN_OR_RETURN(const std::vector<uint64_t> auxv, ParseAuxv(text));
  for (size_t at = 0; at + 1 < auxv.size(); at += 2) {
    if (auxv[at] == AT_SYSINFO_EHDR) return RemoteAddress(auxv[at + 1]);
  }
  return absl::NotFoundError("no vDSO in auxv");
}

struct Image {
  Elf64_Ehdr header;
  std::vector<Elf64_Phdr> segments;
};

// The heads of the ELF image at `base`; NotFound when there is none.
absl::StatusOr<Image> ReadImage(const RemoteMemory& memory, RemoteAddress base) {
  // The heads of all segments lie in the first page, as linkers have it: one call for both.
  std::array<std::byte, 4096> page;
  RETURN_IF_ERROR(memory.Read(base, std::span(page)));
  Elf64_Ehdr header;
  std::memcpy(&header, page.data(), sizeof header);
  constexpr int kMostSegments = 64;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > kMostSegments) {
    return absl::NotFoundError("no ELF image");
  }
  Image image{.header = header, .segments = {}};
  if (header.e_phoff <= page.size() &&
      header.e_phnum * sizeof(Elf64_Phdr) <= page.size() - header.e_phoff) {
    image.segments.resize(header.e_phnum);
    std::memcpy(image.segments.data(), page.data() + header.e_phoff,
                header.e_phnum * sizeof(Elf64_Phdr));
    return image;
  }
  for (uint64_t i = 0; i < header.e_phnum; ++i) {
    ASSIGN_OR_RETURN(const auto segment,
                     memory.ReadValue<Elf64_Phdr>(base + header.e_phoff + i * sizeof(Elf64_Phdr)));
    image.segments.push_back(segment);
  }
  return image;
}

// The vDSO is an ELF image mapped in one piece, section headers last; the kernel gives it whole
// pages and fills the last one with zeros.
absl::StatusOr<Room> RoomBehindVdso(const RemoteMemory& memory, RemoteAddress vdso) {
  ASSIGN_OR_RETURN(const Image image, ReadImage(memory, vdso));
  const Elf64_Ehdr& header = image.header;
  uint64_t end = header.e_shoff + uint64_t{header.e_shnum} * header.e_shentsize;
  end = std::max(end, header.e_phoff + uint64_t{header.e_phnum} * header.e_phentsize);
  for (const Elf64_Phdr& segment : image.segments) {
    if (segment.p_type == PT_LOAD) end = std::max(end, segment.p_offset + segment.p_memsz);
  }
  return RoomUpToPage(vdso + end);
}

// Behind the code in the last page of a mapped file, which the linker fills with zeros.
std::optional<Room> RoomBehindCode(const RemoteMemory& memory, const Mapping& code,
                                   const std::vector<Mapping>& mappings) {
  for (const Mapping& head : mappings) {
    if (head.offset != 0 || head.file != code.file) continue;
    const absl::StatusOr<Image> image = ReadImage(memory, head.start);
    if (!image.ok()) continue;
    for (const Elf64_Phdr& segment : image->segments) {
      if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
      const uint64_t end = segment.p_offset + segment.p_filesz;
      if (segment.p_offset / PageSize() * PageSize() != code.offset) continue;
      const Room room = RoomUpToPage(code.start + (end - code.offset));
      if (room.end == code.end) return room;
    }
  }
  return std::nullopt;
}

// Of a task whose vDSO is not where auxv says: the program has moved it, or has done without.
std::vector<Room> RoomsByMaps(const ProcDir& task, const RemoteMemory& memory) {
  std::vector<Room> rooms;
  const absl::StatusOr<std::string> text = task.ReadWhole("maps");
  if (!text.ok()) return rooms;
  const absl::StatusOr<std::vector<Mapping>> mappings = ParseMaps(*text);
  if (!mappings.ok()) return rooms;
  for (const Mapping& mapping : *mappings) {
    if (!mapping.exec || mapping.write || mapping.shared) continue;
    if (mapping.name == "[vdso]") {
      const absl::StatusOr<Room> room = RoomBehindVdso(memory, mapping.start);
      if (room.ok()) rooms.insert(rooms.begin(), *room);
    } else if (mapping.file.valid()) {
      const std::optional<Room> room = RoomBehindCode(memory, mapping, *mappings);
      if (room) rooms.push_back(*room);
    }
  }
  return rooms;
}

bool IsFree(std::span<const std::byte> there, std::span<const std::byte> code) {
  const auto zero = [](std::byte b) { return b == std::byte{0}; };
  return std::all_of(there.begin(), there.end(), zero) ||
         std::equal(code.begin(), code.end(), there.begin());
}

absl::Status NoRoom(size_t size) {
  return MakeFailure(
      Failure::kHost, absl::StatusCode::kFailedPrecondition,
      absl::StrCat("no ", size,
                   " unused executable bytes in the task to run system "
                   "calls from, neither behind its vDSO nor behind the code of a file"));
}

}  // namespace

absl::StatusOr<InjectionSite> InjectionSite::Find(const ProcDir& task, std::string_view auxv,
                                                  const RemoteMemory& memory,
                                                  std::span<const std::byte> code, size_t data) {
  const size_t wanted = code.size() + data;
  std::vector<Room> rooms;
  const absl::StatusOr<RemoteAddress> vdso = VdsoAddress(auxv);
  if (vdso.ok()) {
    const absl::StatusOr<Room> room = RoomBehindVdso(memory, *vdso);
    if (room.ok()) rooms.push_back(*room);
  }
  if (rooms.empty()) rooms = RoomsByMaps(task, memory);
  for (const Room& room : rooms) {
    if (room.end < room.begin + wanted) continue;
    const size_t size = room.end - room.begin;
    ASSIGN_OR_RETURN(const std::vector<std::byte> there, memory.Read(room.begin, size));
    if (IsFree(there, code)) return InjectionSite(&memory, room.begin, size);
  }
  return NoRoom(wanted);
}

absl::StatusOr<RemoteAddress> FindSyscallInstruction(const ProcDir& task,
                                                     const RemoteMemory& memory) {
  constexpr std::array kInstruction = {std::byte{0x0f}, std::byte{0x05}};
  ASSIGN_OR_RETURN(const std::string auxv, task.ReadWhole("auxv"));
  ASSIGN_OR_RETURN(const RemoteAddress vdso, VdsoAddress(auxv));
  ASSIGN_OR_RETURN(const Room behind, RoomBehindVdso(memory, vdso));
  ASSIGN_OR_RETURN(const std::vector<std::byte> image, memory.Read(vdso, behind.begin - vdso));
  // All of it is mapped executable, so that it does not matter whose part the bytes are.
  const auto found =
      std::search(image.begin(), image.end(), kInstruction.begin(), kInstruction.end());
  if (found == image.end()) return absl::NotFoundError("no system call in the vDSO");
  return vdso + static_cast<uint64_t>(found - image.begin());
}

absl::Status InjectionSite::Clear() const {
  return memory_->Write(address_, std::vector<std::byte>(size_));
}

}  // namespace dumpctl
