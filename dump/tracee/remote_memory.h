#ifndef DUMP_TRACEE_REMOTE_MEMORY_H_
#define DUMP_TRACEE_REMOTE_MEMORY_H_

#include <sys/types.h>

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dumpctl/remote_address.h"
#include "dumpctl/unique_fd.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// Small reads and writes of a traced task's memory through /proc/PID/mem, which a tracer may use
// whatever the protection (writes to private memory make a private copy first). Page contents are
// not read through this: see dump/mm.
class RemoteMemory {
 public:
  static absl::StatusOr<RemoteMemory> Open(const ProcDir& task);

  // All of `bytes` or an error: OutOfRange when part of it is not mapped.
  absl::Status Read(RemoteAddress address, std::span<std::byte> bytes) const;
  absl::Status Write(RemoteAddress address, std::span<const std::byte> bytes) const;

  absl::StatusOr<std::vector<std::byte>> Read(RemoteAddress address, size_t size) const;

  template <typename T>
  absl::StatusOr<T> ReadValue(RemoteAddress address) const {
    T value;
    const absl::Status status = Read(address, std::as_writable_bytes(std::span(&value, 1)));
    if (!status.ok()) return status;
    return value;
  }

 private:
  explicit RemoteMemory(UniqueFd file) : file_(std::move(file)) {}

  UniqueFd file_;
};

}  // namespace dumpctl

#endif  // DUMP_TRACEE_REMOTE_MEMORY_H_
