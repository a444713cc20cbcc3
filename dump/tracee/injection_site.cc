#include "dump/tracee/injection_site.h"

#include <elf.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "proc/auxv_parser.h"

namespace dumpctl {
namespace {

constexpr uint64_t kAlignment = 16;

uint64_t PageSize() { return static_cast<uint64_t>(sysconf(_SC_PAGESIZE)); }

// An address range that may be used, all of it behind what the ELF image holds.
struct Room {
  RemoteAddress begin;
  RemoteAddress end;
};

absl::StatusOr<RemoteAddress> VdsoAddress(const ProcDir& task) {
  ASSIGN_OR_RETURN(const std::string text, task.Read("auxv"));
  ASSIGN_OR_RETURN(const std::vector<uint64_t> auxv, ParseAuxv(text));
  for (size_t at = 0; at + 1 < auxv.size(); at += 2) {
    if (auxv[at] == AT_SYSINFO_EHDR) return RemoteAddress(auxv[at + 1]);
  }
  return absl::NotFoundError("no vDSO in auxv");
}

// The vDSO is an ELF image mapped in one piece, section headers last; the kernel gives it whole
// pages and fills the last one with zeros.
absl::StatusOr<Room> RoomBehindVdso(const RemoteMemory& memory, RemoteAddress vdso) {
  ASSIGN_OR_RETURN(const auto header, memory.ReadValue<Elf64_Ehdr>(vdso));
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > 64) {
    return absl::NotFoundError("what auxv calls the vDSO is no ELF image");
  }
  uint64_t end = header.e_shoff + uint64_t{header.e_shnum} * header.e_shentsize;
  end = std::max(end, header.e_phoff + uint64_t{header.e_phnum} * header.e_phentsize);
  for (int i = 0; i < header.e_phnum; ++i) {
    const uint64_t at = header.e_phoff + static_cast<uint64_t>(i) * sizeof(Elf64_Phdr);
    ASSIGN_OR_RETURN(const auto segment, memory.ReadValue<Elf64_Phdr>(vdso + at));
    if (segment.p_type == PT_LOAD) end = std::max(end, segment.p_offset + segment.p_memsz);
  }
  const uint64_t page = PageSize();
  return Room{.begin = vdso + (end + kAlignment - 1) / kAlignment * kAlignment,
              .end = vdso + (end + page - 1) / page * page};
}

bool IsFree(std::span<const std::byte> there, std::span<const std::byte> code) {
  const auto zero = [](std::byte b) { return b == std::byte{0}; };
  return std::all_of(there.begin(), there.end(), zero) ||
         std::equal(code.begin(), code.end(), there.begin());
}

absl::Status NoRoom(size_t size) {
  return MakeFailure(Failure::kHost, absl::StatusCode::kFailedPrecondition,
                     absl::StrCat("no ", size,
                                  " unused executable bytes in the task to run system "
                                  "calls from (it has no vDSO, or one without padding)"));
}

}  // namespace

absl::StatusOr<InjectionSite> InjectionSite::Find(const ProcDir& task, const RemoteMemory& memory,
                                                  std::span<const std::byte> code, size_t data) {
  const size_t wanted = code.size() + data;
  const absl::StatusOr<RemoteAddress> vdso = VdsoAddress(task);
  if (!vdso.ok()) return NoRoom(wanted);
  const absl::StatusOr<Room> room = RoomBehindVdso(memory, *vdso);
  if (!room.ok() || room->end < room->begin + wanted) return NoRoom(wanted);
  const size_t size = room->end - room->begin;
  ASSIGN_OR_RETURN(const std::vector<std::byte> there, memory.Read(room->begin, size));
  if (!IsFree(there, code)) return NoRoom(wanted);
  return InjectionSite(&memory, room->begin, size);
}

absl::Status InjectionSite::Clear() const {
  return memory_->Write(address_, std::vector<std::byte>(size_));
}

}  // namespace dumpctl
