#include "dump/tracee/remote_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::Status MemoryError(const char* what, RemoteAddress address, ssize_t got) {
  const int error = errno;
  // mem answers 0 when the address space is gone.
  if (got == 0) return absl::NotFoundError("the task's memory is gone");
  if (error == EIO || error == EFAULT) {
    return absl::OutOfRangeError(
        absl::StrCat(what, " 0x", absl::Hex(address.value()), ": not mapped"));
  }
  return absl::ErrnoToStatus(error, absl::StrCat(what, " 0x", absl::Hex(address.value())));
}

}  // namespace

absl::StatusOr<RemoteMemory> RemoteMemory::Open(const ProcDir& task) {
  ASSIGN_OR_RETURN(UniqueFd file, task.Open("mem", O_RDWR));
  return RemoteMemory(std::move(file));
}

absl::Status RemoteMemory::Read(RemoteAddress address, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t n =
        pread(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(address.value()));
    if (n <= 0) return MemoryError("read of memory at", address, n);
    bytes = bytes.subspan(static_cast<size_t>(n));
    address = address + static_cast<uint64_t>(n);
  }
  return absl::OkStatus();
}

absl::Status RemoteMemory::Write(RemoteAddress address, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t n =
        pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(address.value()));
    if (n <= 0) return MemoryError("write to memory at", address, n);
    bytes = bytes.subspan(static_cast<size_t>(n));
    address = address + static_cast<uint64_t>(n);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::byte>> RemoteMemory::Read(RemoteAddress address,
                                                          size_t size) const {
  std::vector<std::byte> bytes(size);
  RETURN_IF_ERROR(Read(address, std::span(bytes)));
  return bytes;
}

}  // namespace dumpctl
