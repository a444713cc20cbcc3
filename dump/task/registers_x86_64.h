#ifndef DUMP_TASK_REGISTERS_X86_64_H_
#define DUMP_TASK_REGISTERS_X86_64_H_

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/tracee/registers_x86_64.h"
#include "proto/core.pb.h"

namespace dumpctl {

// A descriptor of the GDT's three thread-local segments, as set_thread_area(2) has it; 64-bit
// programs rarely use them.
struct TlsSegment {
  uint32_t entry_number = 0;
  uint32_t base = 0;
  uint32_t limit = 0;
  uint32_t flags = 0;  // the bit fields behind `limit` in struct user_desc
};

absl::StatusOr<std::vector<TlsSegment>> ReadTlsSegments(pid_t tid);
// What that gives of a thread that has none.
std::vector<TlsSegment> UnusedTlsSegments();

// OK, or why the extended state cannot be put into an image: AMX tiles that are in use
// (Unimplemented), a cut or unknown area (Internal).
absl::Status CheckExtendedState(std::span<const std::byte> xstate);

// Registers for the image (see ImageRegisters), extended state included. `xstate` has passed
// CheckExtendedState. clear_tid_addr is the caller's to fill.
image::thread_info_x86 ToThreadInfo(const GeneralRegisters& stopped,
                                    std::span<const std::byte> xstate,
                                    const std::vector<TlsSegment>& tls);

}  // namespace dumpctl

#endif  // DUMP_TASK_REGISTERS_X86_64_H_
