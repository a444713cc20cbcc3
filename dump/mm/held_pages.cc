#include "dump/mm/held_pages.h"

#include <sys/mman.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "dump/mm/page_batches.h"
#include "dump/mm/page_drainer.h"
#include "dump/mm/page_file.h"
#include "dumpctl/by_two.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"

namespace dumpctl {
namespace {

constexpr uint64_t kHugePage = 2 << 20;

uint64_t UpTo(uint64_t unit, uint64_t value) { return (value + unit - 1) / unit * unit; }

absl::Status ReadByTwo(const MemorySource& source, std::span<const PageRun> runs,
                       std::span<std::byte> bytes) {
  const uint64_t half = UpTo(kImagePageSize, bytes.size() / 2);
  Batches halves(runs, half);
  std::vector<PageRun> first;
  std::vector<PageRun> second;
  halves.Next(first);
  halves.Next(second);
  absl::Status status;
  absl::Status beside;
  const auto read_second = [&] {
    const TraceSpan span(TraceKind::kThread, "read pages");
    beside = source.Read(second, bytes.subspan(half));
  };
  DoByTwo(read_second, [&] { status = source.Read(first, bytes.first(half)); });
  status.Update(beside);
  return status;
}

}  // namespace

void HeldPages::Unmap::operator()(std::byte* memory) const { munmap(memory, size); }

HeldPages::HeldPages(Room room) {
  const uint64_t bytes = room.likely + room.spare;
  if (bytes == 0 || bytes > kMost) return;
  // Huge pages come in a quarter of the time, where they are not larger than all that is wanted.
  const uint64_t unit = bytes >= kHugePage ? kHugePage : kImagePageSize;
  const uint64_t size = UpTo(unit, bytes);
  const uint64_t mapped = size + (unit - kImagePageSize);
  void* const at = mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return;
  mapping_ = {static_cast<std::byte*>(at), Unmap{mapped}};
  std::byte* const begin = mapping_.get() + (UpTo(unit, reinterpret_cast<uint64_t>(at)) -
                                             reinterpret_cast<uint64_t>(at));
  if (unit == kHugePage) madvise(begin, size, MADV_HUGEPAGE);
  // Linux 5.14. Where it fails they come one by one.
  madvise(begin, UpTo(kImagePageSize, room.likely), MADV_POPULATE_WRITE);
  room_ = {begin, bytes};
}

absl::StatusOr<bool> HeldPages::Read(const MemorySource& source, std::span<const PageRun> runs,
                                     PageSink& sink) {
  const uint64_t bytes = BytesOf(runs);
  if (held_ > 0 || bytes > room_.size() || sink.stream() != nullptr || sink.direct()) return false;
  RETURN_IF_ERROR(bytes < kDrainAloneByTwo ? source.Read(runs, room_.first(bytes))
                                           : ReadByTwo(source, runs, room_.first(bytes)));
  held_ = bytes;
  file_ = sink.file();
  offset_ = sink.offset();
  for (const PageRun& run : runs) sink.Account(run.start, run.pages);
  return true;
}

absl::Status HeldPages::Write() {
  if (held_ == 0) return absl::OkStatus();
  const uint64_t bytes = std::exchange(held_, 0);
  if (bytes > kDrainBuffer) RETURN_IF_ERROR(ReserveSpace(file_, offset_, bytes));
  return WritePages(file_, room_.first(bytes), offset_, bytes);
}

}  // namespace dumpctl
