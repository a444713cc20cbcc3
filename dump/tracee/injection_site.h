#ifndef DUMP_TRACEE_INJECTION_SITE_H_
#define DUMP_TRACEE_INJECTION_SITE_H_

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/tracee/remote_memory.h"
#include "dumpctl/remote_address.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// Executable bytes of a task that its program never runs or reads: the zeros that fill the last
// page of the vDSO behind its ELF image, or of another executable file mapping behind its segment.
// Other threads, should they run meanwhile, do not notice what stands there.
//
// The page becomes a private copy when it is first written; the mapping stays as it is.
class InjectionSite {
 public:
  // Finds room for `code` (position independent) and at least `data` bytes behind it; all that
  // there is belongs to the site. Room that a dump which was killed has left full of the same code
  // is used again. FailedPrecondition when there is none.
  // `auxv`: what its /proc/PID/auxv holds, which tells where the vDSO is.
  static absl::StatusOr<InjectionSite> Find(const ProcDir& task, std::string_view auxv,
                                            const RemoteMemory& memory,
                                            std::span<const std::byte> code, size_t data);

  size_t size() const { return size_; }
  bool Holds(RemoteAddress address) const {
    return address >= address_ && address - address_ < size_;
  }
  // Puts the code there. No thread may stand on what is there already.
  absl::Status Fill(std::span<const std::byte> code) const { return Write(address_, code); }

  RemoteAddress address() const { return address_; }

  absl::Status Write(RemoteAddress address, std::span<const std::byte> bytes) const {
    return memory_->Write(address, bytes);
  }
  // Puts the zeros back. No thread may stand on the code.
  absl::Status Clear() const;

 private:
  InjectionSite(const RemoteMemory* memory, RemoteAddress address, size_t size)
      : memory_(memory), address_(address), size_(size) {}

  const RemoteMemory* memory_;
  RemoteAddress address_;
  size_t size_;
};

// An instruction, of its vDSO, by which a task can make system calls. NotFound where it has none.
absl::StatusOr<RemoteAddress> FindSyscallInstruction(const ProcDir& task,
                                                     const RemoteMemory& memory);

}  // namespace dumpctl

#endif  // DUMP_TRACEE_INJECTION_SITE_H_
