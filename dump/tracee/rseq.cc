#include "dump/tracee/rseq.h"

#include <sys/ptrace.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// struct rseq_cs of <linux/rseq.h>, with its two 32-bit fields as one.
struct CriticalSection {
  uint64_t version_and_flags;
  uint64_t start;
  uint64_t length;
  uint64_t abort;
};
static_assert(sizeof(CriticalSection) == 32);

// Offset of rseq_cs in struct rseq: behind cpu_id_start and cpu_id.
constexpr uint64_t kSectionPointer = 8;

}  // namespace

absl::StatusOr<std::optional<RseqRegistration>> GetRseqRegistration(pid_t tid) {
  __ptrace_rseq_configuration config = {};
  if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, sizeof config, &config) < 0) {
    // EIO: a kernel before 5.13 or without CONFIG_RSEQ.
    if (errno == EIO || errno == EINVAL) return std::optional<RseqRegistration>();
    return absl::ErrnoToStatus(errno, absl::StrCat("PTRACE_GET_RSEQ_CONFIGURATION of ", tid));
  }
  if (config.rseq_abi_pointer == 0) return std::optional<RseqRegistration>();
  return std::optional(RseqRegistration{.area = RemoteAddress(config.rseq_abi_pointer),
                                        .size = config.rseq_abi_size,
                                        .signature = config.signature});
}

absl::StatusOr<std::optional<RemoteAddress>> RseqAbortAddress(const RseqRegistration& rseq,
                                                              const GeneralRegisters& registers,
                                                              const RemoteMemory& memory) {
  std::optional<RemoteAddress> none;
  ASSIGN_OR_RETURN(const uint64_t pointer, memory.ReadValue<uint64_t>(rseq.area + kSectionPointer));
  if (pointer == 0) return none;
  const auto section = memory.ReadValue<CriticalSection>(RemoteAddress(pointer));
  // A stale pointer is the program's business: the kernel would kill it, we need not.
  if (!section.ok()) return none;
  if (registers.rip - section->start >= section->length) return none;
  return std::optional(RemoteAddress(section->abort));
}

}  // namespace dumpctl
