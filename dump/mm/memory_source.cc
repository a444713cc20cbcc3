#include "dump/mm/memory_source.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <memory>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"

namespace dumpctl {
namespace {

absl::Status Died(pid_t pid) {
  return MakeFailure(Failure::kTargetDied, absl::StatusCode::kNotFound,
                     absl::StrCat("process ", pid,
                                  " was killed by somebody else, or ended, while its memory was "
                                  "read; no images were left"));
}

absl::Status Error(int error, pid_t pid, RemoteAddress address) {
  if (error == ESRCH) return Died(pid);
  // Nothing can unmap it while the task is frozen. Where the kernel does not tell guards from
  // swapped pages, they are met here.
  if (error == EFAULT || error == EIO) {
    return MakeFailure(
        Failure::kRefused, absl::StatusCode::kUnimplemented,
        absl::StrCat("refused, with all put back: process ", pid, ", memory at 0x",
                     absl::Hex(address.value()),
                     ": it is there but cannot be read, which is a guard (MADV_GUARD_INSTALL) on a "
                     "kernel that does not tell where these are, or memory that has failed; run "
                     "Linux 6.15 or newer, and see the kernel's log"));
  }
  return absl::ErrnoToStatus(
      error, absl::StrCat("memory of process ", pid, " at 0x", absl::Hex(address.value())));
}

}  // namespace

// Readable pieces that go into one stretch of the buffer by one call.
class FrozenTaskMemory::Batch {
 public:
  Batch(pid_t pid, std::byte* out) : pid_(pid), out_(out) {}

  absl::Status Add(RemoteAddress start, uint64_t bytes) {
    if (used_ == remote_.size()) RETURN_IF_ERROR(Flush());
    remote_[used_++] = {reinterpret_cast<void*>(start.value()), bytes};
    bytes_ += bytes;
    return absl::OkStatus();
  }

  // Leaves `bytes` of the buffer to the caller.
  std::byte* Skip(uint64_t bytes) {
    std::byte* const here = out_;
    out_ += bytes;
    return here;
  }

  absl::Status Flush() {
    size_t first = 0;
    while (bytes_ > 0) {
      const iovec local = {out_, bytes_};
      const ssize_t n = process_vm_readv(pid_, &local, 1, &remote_[first], used_ - first, 0);
      if (n <= 0) {
        const int error = n < 0 ? errno : EFAULT;
        return Error(error, pid_,
                     RemoteAddress(reinterpret_cast<uint64_t>(remote_[first].iov_base)));
      }
      const auto read = static_cast<size_t>(n);
      out_ += read;
      bytes_ -= read;
      first = Advance(first, read);
    }
    used_ = 0;
    return absl::OkStatus();
  }

 private:
  // Takes what has been read off the pieces; returns the first that is left.
  size_t Advance(size_t first, size_t read) {
    while (read > 0) {
      iovec& piece = remote_[first];
      const size_t part = std::min(read, piece.iov_len);
      piece = {static_cast<std::byte*>(piece.iov_base) + part, piece.iov_len - part};
      read -= part;
      if (piece.iov_len == 0) ++first;
    }
    return first;
  }

  pid_t pid_;
  std::byte* out_;
  std::array<iovec, IOV_MAX> remote_;
  size_t used_ = 0;
  size_t bytes_ = 0;  // in remote_[0..used_)
};

class FrozenTaskMemory::Mem {
 public:
  explicit Mem(ProcDir task) : task_(std::move(task)) {}

  // By whichever thread comes first.
  absl::StatusOr<BorrowedFd> Get() {
    std::call_once(once_, [this] { file_ = task_.Open("mem", O_RDONLY); });
    RETURN_IF_ERROR(file_.status());
    return BorrowedFd(*file_);
  }

 private:
  ProcDir task_;
  std::once_flag once_;
  absl::StatusOr<UniqueFd> file_;
};

FrozenTaskMemory::FrozenTaskMemory(pid_t pid, std::unique_ptr<Mem> mem,
                                   std::vector<Range> unreadable)
    : pid_(pid), mem_(std::move(mem)), unreadable_(std::move(unreadable)) {}
FrozenTaskMemory::FrozenTaskMemory(FrozenTaskMemory&&) noexcept = default;
FrozenTaskMemory::~FrozenTaskMemory() = default;

absl::StatusOr<FrozenTaskMemory> FrozenTaskMemory::Open(pid_t pid, const ProcDir& task,
                                                        const VmaList& vmas) {
  std::vector<Range> unreadable;
  for (const Vma& vma : vmas) {
    if (vma.mapping.read) continue;
    if (!unreadable.empty() && unreadable.back().end == vma.start()) {
      unreadable.back().end = vma.end();
    } else {
      unreadable.push_back({vma.start(), vma.end()});
    }
  }
  return FrozenTaskMemory(pid, std::make_unique<Mem>(task), std::move(unreadable));
}

absl::StatusOr<FrozenTaskMemory> FrozenTaskMemory::OpenSharing(pid_t pid, const ProcDir& task) {
  auto mem = std::make_unique<Mem>(task);
  // Told at once: it is all that there is to read by.
  RETURN_IF_ERROR(mem->Get().status());
  return FrozenTaskMemory(pid, std::move(mem), {{RemoteAddress(0), RemoteAddress(UINT64_MAX)}});
}

FrozenTaskMemory::Piece FrozenTaskMemory::PieceAt(RemoteAddress start) const {
  const auto next = std::upper_bound(
      unreadable_.begin(), unreadable_.end(), start,
      [](RemoteAddress address, const Range& range) { return address < range.end; });
  if (next == unreadable_.end()) return {RemoteAddress(UINT64_MAX), true};
  if (next->start <= start) return {next->end, false};
  return {next->start, true};
}

absl::Status FrozenTaskMemory::ReadByForce(RemoteAddress address,
                                           std::span<std::byte> bytes) const {
  const absl::StatusOr<BorrowedFd> mem = mem_->Get();
  if (absl::IsNotFound(mem.status())) return Died(pid_);
  RETURN_IF_ERROR(mem.status());
  while (!bytes.empty()) {
    const ssize_t n =
        pread(mem->get(), bytes.data(), bytes.size(), static_cast<off_t>(address.value()));
    // mem answers 0 when the address space is gone.
    if (n == 0) return Died(pid_);
    if (n < 0) return Error(errno, pid_, address);
    bytes = bytes.subspan(static_cast<size_t>(n));
    address = address + static_cast<uint64_t>(n);
  }
  return absl::OkStatus();
}

absl::Status FrozenTaskMemory::Read(std::span<const PageRun> runs,
                                    std::span<std::byte> bytes) const {
  const TraceSpan span(TraceKind::kPages, "read", {{"bytes", bytes.size()}});
  uint64_t wanted = 0;
  for (const PageRun& run : runs) wanted += run.bytes();
  if (wanted != bytes.size()) return absl::InternalError("page runs do not fill their buffer");
  Batch batch(pid_, bytes.data());
  for (const PageRun& run : runs) {
    for (RemoteAddress at = run.start; at < run.end();) {
      const Piece piece = PieceAt(at);
      const uint64_t size = std::min(piece.end, run.end()) - at;
      if (piece.readable) {
        RETURN_IF_ERROR(batch.Add(at, size));
      } else {
        RETURN_IF_ERROR(batch.Flush());
        RETURN_IF_ERROR(ReadByForce(at, std::span(batch.Skip(size), size)));
      }
      at = at + size;
    }
  }
  return batch.Flush();
}

absl::StatusOr<LivingTaskMemory> LivingTaskMemory::Open(pid_t pid, const ProcDir& task,
                                                        bool shares) {
  ASSIGN_OR_RETURN(UniqueFd mem, task.Open("mem", O_RDONLY));
  return LivingTaskMemory(pid, std::move(mem), shares);
}

// Small pieces by one call, which takes a quarter of the time; false where not all can be read so.
// That goes by pid: so it was of the same address space, if that is there still.
bool LivingTaskMemory::ReadTogether(std::span<const PageRun> runs,
                                    std::span<std::byte> bytes) const {
  std::array<iovec, IOV_MAX> remote;
  for (size_t i = 0; i < runs.size(); ++i) {
    remote[i] = {reinterpret_cast<void*>(runs[i].start.value()), runs[i].bytes()};
  }
  const iovec local = {bytes.data(), bytes.size()};
  const ssize_t n = process_vm_readv(pid_, &local, 1, remote.data(), runs.size(), 0);
  std::byte any;
  return n == static_cast<ssize_t>(bytes.size()) &&
         pread(mem_.get(), &any, 1, static_cast<off_t>(runs.front().start.value())) != 0;
}

absl::Status LivingTaskMemory::ReadRun(RemoteAddress address, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t n =
        pread(mem_.get(), bytes.data(), bytes.size(), static_cast<off_t>(address.value()));
    if (n == 0) return Died(pid_);
    if (n < 0 && errno != EIO && errno != EFAULT) return Error(errno, pid_, address);
    auto done = static_cast<size_t>(n);
    if (n < 0) {
      // Gone since, or a guard by now: this page, and perhaps more.
      done = std::min<size_t>(bytes.size(), kImagePageSize - address.value() % kImagePageSize);
      std::fill_n(bytes.begin(), done, std::byte{0});
      const std::lock_guard lock(misses_->mutex);
      misses_->Add(RemoteAddress(address.value() / kImagePageSize * kImagePageSize));
    }
    bytes = bytes.subspan(done);
    address = address + done;
  }
  return absl::OkStatus();
}

absl::Status LivingTaskMemory::Read(std::span<const PageRun> runs,
                                    std::span<std::byte> bytes) const {
  const TraceSpan span(TraceKind::kPages, "read", {{"bytes", bytes.size()}});
  while (!runs.empty()) {
    const auto some = runs.first(std::min<size_t>(runs.size(), IOV_MAX));
    runs = runs.subspan(some.size());
    const std::span<std::byte> into = bytes.first(BytesOf(some));
    bytes = bytes.subspan(into.size());
    if (some.size() > 1 && !shares_ && ReadTogether(some, into)) continue;
    size_t at = 0;
    for (const PageRun& run : some) {
      RETURN_IF_ERROR(ReadRun(run.start, into.subspan(at, run.bytes())));
      at += run.bytes();
    }
  }
  return absl::OkStatus();
}

void LivingTaskMemory::Misses::Add(RemoteAddress page) {
  const auto next = runs.upper_bound(page);
  if (next != runs.begin()) {
    PageRun& before = std::prev(next)->second;
    if (page < before.end()) return;
    if (page == before.end()) {
      ++before.pages;
      return;
    }
  }
  runs.emplace_hint(next, page, PageRun{page, 1});
}

std::vector<PageRun> LivingTaskMemory::MissedAmong(std::span<const PageRun> runs) const {
  const std::lock_guard lock(misses_->mutex);
  std::vector<PageRun> missed;
  for (const PageRun& run : runs) {
    auto miss = misses_->runs.upper_bound(run.start);
    if (miss != misses_->runs.begin()) --miss;
    for (; miss != misses_->runs.end() && miss->first < run.end(); ++miss) {
      const RemoteAddress start = std::max(run.start, miss->first);
      const RemoteAddress end = std::min(run.end(), miss->second.end());
      if (start < end) missed.push_back({start, (end - start) / kImagePageSize});
    }
  }
  return missed;
}

std::vector<PageRun> LivingTaskMemory::Missed() const {
  const std::lock_guard lock(misses_->mutex);
  std::vector<PageRun> missed;
  missed.reserve(misses_->runs.size());
  for (const auto& [start, run] : misses_->runs) missed.push_back(run);
  return missed;
}

}  // namespace dumpctl
