#include "dump/mm/page_drainer.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dump/mm/page_batches.h"
#include "dump/mm/page_file.h"
#include "dump/mm/shared_pages.h"
#include "dump/tracee/child_changes.h"
#include "dumpctl/by_two.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"

namespace dumpctl {
namespace {

constexpr absl::Duration kProgressInterval = absl::Milliseconds(100);

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

// A thread's own, kept from one task to the next: in a new one each page is touched for the first
// time. O_DIRECT takes memory that begins with a page alone. Empty: there is none.
std::span<std::byte> Buffer(size_t size) {
  static thread_local std::unique_ptr<std::byte, Free> memory;
  static thread_local size_t there = 0;
  if (there < size) {
    there = 0;
    memory.reset(static_cast<std::byte*>(std::aligned_alloc(kImagePageSize, size)));
    if (memory) there = size;
  }
  return std::span(memory.get(), std::min(there, size));
}

// A copy of all runs into one file, made by as many threads as call Work. Each takes the next
// buffer full, reads it and writes it to its place: while one is in the file the other reads. Never
// are both in it, but past the page cache: the kernel lets one in alone, and the other would spin.
class Copy {
 public:
  Copy(const MemorySource& source, std::span<const PageRun> runs, const PageSink& sink)
      : source_(source),
        file_(sink.file()),
        direct_(sink.direct()),
        buffer_(direct_ ? kDirectBuffer : kDrainBuffer),
        total_(BytesOf(runs)),
        batches_(runs, buffer_),
        offset_(sink.offset()) {}

  uint64_t total() const { return total_; }

  // Until nothing is left or an error has occurred, here or in another thread. Progress is for one
  // of them to tell.
  void Work(const DrainProgress& progress) {
    const std::span<std::byte> buffer = Buffer(buffer_);
    if (buffer.empty()) {
      return Finish(absl::ResourceExhaustedError("no memory to copy pages with"), 0);
    }
    std::vector<PageRun> batch;
    absl::Time reported = absl::Now();
    for (uint64_t offset = Take(batch); !batch.empty(); offset = Take(batch)) {
      const std::span<std::byte> bytes = buffer.first(BytesOf(batch));
      absl::Status status = source_.Read(batch, bytes);
      if (status.ok()) status = Write(bytes, offset);
      Finish(status, bytes.size());
      if (progress && absl::Now() - reported >= kProgressInterval) {
        Finish(progress(done_, total_), 0);
        reported = absl::Now();
      }
    }
  }

  // Once all threads have returned.
  const absl::Status& status() const { return status_; }

 private:
  // The next batch, and where in the file it goes.
  uint64_t Take(std::vector<PageRun>& batch) {
    const std::lock_guard lock(mutex_);
    batch.clear();
    if (status_.ok()) batches_.Next(batch);
    const uint64_t offset = offset_;
    offset_ += BytesOf(batch);
    return offset;
  }

  absl::Status Write(std::span<const std::byte> bytes, uint64_t offset) {
    std::unique_lock lock(writing_, std::defer_lock);
    if (!direct_) lock.lock();
    return WritePages(file_, bytes, offset, total_);
  }

  void Finish(const absl::Status& status, uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    status_.Update(status);
    done_ += bytes;
  }

  const MemorySource& source_;
  const BorrowedFd file_;
  const bool direct_;
  const uint64_t buffer_;
  const uint64_t total_;
  std::atomic<uint64_t> done_ = 0;
  std::mutex writing_;
  std::mutex mutex_;  // holds the rest
  Batches batches_;
  uint64_t offset_;
  absl::Status status_;
};

void WorkByTwo(Copy& copy, const DrainProgress& progress) {
  const auto work_along = [&copy] {
    const TraceSpan span(TraceKind::kThread, "copy pages");
    copy.Work({});
  };
  DoByTwo(work_along, [&] { copy.Work(progress); });
}

// Moves what is left of `batch` together in `block`, but for `missed`, which `batch` is without
// then.
void TakeOut(std::span<const PageRun> missed, std::vector<PageRun>& batch, Block& block) {
  const std::vector<PageRun> read = RunsWithout(batch, missed);
  std::byte* const bytes = block.bytes.get();
  size_t from = 0;
  size_t to = 0;
  auto next = read.begin();
  for (const PageRun& run : batch) {
    for (; next != read.end() && next->start < run.end(); ++next) {
      std::memmove(bytes + to, bytes + from + (next->start - run.start), next->bytes());
      to += next->bytes();
    }
    from += run.bytes();
  }
  block.used = to;
  batch = read;
}

// In order, while the stream's thread writes what was read before. Who keeps the pagemaps is told
// of pages once they are read, and of none that could not be: it would have zeros in their place,
// and later dumps count on them.
absl::Status Pass(const MemorySource& source, std::span<const PageRun> runs, const PageSink& sink,
                  const DrainProgress& progress) {
  PageStream& stream = *sink.stream();
  const uint64_t total = BytesOf(runs);
  RETURN_IF_ERROR(stream.BeginPages(sink.pages_id(), sink.owner(), total));
  if (stream.keeps_pagemaps()) stream.LeaveToParent(sink.InParent());
  Batches batches(runs, Block::kSize);
  std::vector<PageRun> batch;
  uint64_t done = 0;
  absl::Time reported = absl::Now();
  for (batches.Next(batch); !batch.empty(); batches.Next(batch)) {
    ASSIGN_OR_RETURN(Block block, stream.TakeBlock());
    block.used = BytesOf(batch);
    done += block.used;
    RETURN_IF_ERROR(source.Read(batch, std::span(block.bytes.get(), block.used)));
    if (stream.keeps_pagemaps()) {
      const std::vector<PageRun> missed = source.MissedAmong(batch);
      if (!missed.empty()) TakeOut(missed, batch, block);
    }
    RETURN_IF_ERROR(stream.Put(batch, std::move(block)));
    if (!progress || absl::Now() - reported < kProgressInterval) continue;
    RETURN_IF_ERROR(progress(done, total));
    reported = absl::Now();
  }
  return absl::OkStatus();
}

// What a task writes by itself, and what has to be read from it in between.
class OwnCopy {
 public:
  explicit OwnCopy(const DrainPart& part)
      : source_(*part.source),
        sink_(*part.sink),
        writer_(*part.writer),
        total_(BytesOf(part.runs)),
        batches_(part.runs, kAtOnce) {}

  // False: it cannot.
  bool Begin() { return writer_.Begin(sink_.file()); }
  absl::Status Reserve() const { return ReserveSpace(sink_, total_); }

  uint64_t total() const { return total_; }
  uint64_t done() const { return done_; }

  // Starts to write what comes next. False: there is nothing left.
  bool Start() {
    if (batch_.empty()) batches_.Next(batch_);
    if (batch_.empty()) return false;
    started_ = absl::Now();
    writer_.Start(batch_, sink_.offset() + done_);
    return true;
  }

  bool IsDone() { return writer_.IsDone(); }

  // Waits until that is written.
  absl::Status Finish() {
    uint64_t written = Wait();
    if (written == 0) {
      ASSIGN_OR_RETURN(written, ReadAndWrite());
    }
    TakeOff(written / kImagePageSize);
    done_ += written;
    return absl::OkStatus();
  }

 private:
  // Large, for each costs a stop or two; small enough to be asked in between whether to go on.
  static constexpr uint64_t kAtOnce = 16 << 20;

  // It writes since it was started, perhaps beside another one: on one track such spans would
  // cross.
  uint64_t Wait() {
    const TraceSpan span(TraceKind::kPages, "write itself",
                         {{"bytes", BytesOf(batch_)},
                          {"fd", sink_.file().get()},
                          {"begun_before_us", absl::ToInt64Microseconds(absl::Now() - started_)}});
    return writer_.Finish();
  }

  void TakeOff(uint64_t pages) {
    auto run = batch_.begin();
    for (; run != batch_.end() && run->pages <= pages; ++run) pages -= run->pages;
    if (run != batch_.end()) *run = {run->start + pages * kImagePageSize, run->pages - pages};
    batch_.erase(batch_.begin(), run);
  }

  // As much of it as a buffer holds.
  absl::StatusOr<uint64_t> ReadAndWrite() {
    std::vector<PageRun> part;
    Batches(batch_, kDrainBuffer).Next(part);
    buffer_.resize(BytesOf(part));
    RETURN_IF_ERROR(source_.Read(part, buffer_));
    RETURN_IF_ERROR(WritePages(sink_.file(), buffer_, sink_.offset() + done_, total_));
    return buffer_.size();
  }

  const MemorySource& source_;
  const PageSink& sink_;
  SelfWriter& writer_;
  const uint64_t total_;
  Batches batches_;
  std::vector<PageRun> batch_;  // the rest of it
  absl::Time started_;          // to write that
  uint64_t done_ = 0;
  std::vector<std::byte> buffer_;
};

// The first that has written; the last that still writes is waited for by itself.
std::vector<OwnCopy*>::iterator NextDone(std::vector<OwnCopy*>& writing,
                                         const ChildChanges& changes) {
  // Should a signal be lost, it is asked again.
  constexpr absl::Duration kMost = absl::Milliseconds(5);
  for (;;) {
    if (writing.size() == 1) return writing.begin();
    const auto done =
        std::find_if(writing.begin(), writing.end(), [](OwnCopy* copy) { return copy->IsDone(); });
    if (done != writing.end()) return done;
    changes.Wait(absl::Now() + kMost);
  }
}

// While one writes, the others do, each as fast as it can.
absl::Status LetWrite(std::span<OwnCopy> copies, const DrainProgress& progress) {
  const ChildChanges changes;
  uint64_t total = 0;
  for (const OwnCopy& copy : copies) total += copy.total();
  std::vector<OwnCopy*> writing;
  for (OwnCopy& copy : copies) {
    if (copy.Start()) writing.push_back(&copy);
  }
  absl::Time reported = absl::Now();
  absl::Status status;
  // In any case all are waited for.
  while (!writing.empty()) {
    const auto next = NextDone(writing, changes);
    status.Update((*next)->Finish());
    if (status.ok() && progress && absl::Now() - reported >= kProgressInterval) {
      uint64_t done = 0;
      for (const OwnCopy& copy : copies) done += copy.done();
      status = progress(done, total);
      reported = absl::Now();
    }
    if (!status.ok() || !(*next)->Start()) writing.erase(next);
  }
  return status;
}

// False: one of them cannot.
absl::StatusOr<bool> LetWrite(std::span<const DrainPart> parts, const DrainProgress& progress) {
  std::vector<OwnCopy> copies;
  copies.reserve(parts.size());
  for (const DrainPart& part : parts) {
    // With O_DIRECT the kernel holds pages by a pin, for which shared ones are copied first.
    if (part.writer == nullptr || part.sink->stream() != nullptr || part.sink->direct()) {
      return false;
    }
    if (!copies.emplace_back(part).Begin()) return false;
  }
  for (const OwnCopy& copy : copies) RETURN_IF_ERROR(copy.Reserve());
  RETURN_IF_ERROR(LetWrite(std::span(copies), progress));
  return true;
}

absl::Status CopyToFile(const MemorySource& source, std::span<const PageRun> runs,
                        const PageSink& sink, const DrainProgress& progress, uint64_t by_two) {
  Copy copy(source, runs, sink);
  // One write reserves what it takes.
  if (copy.total() > kDrainBuffer) RETURN_IF_ERROR(ReserveSpace(sink, copy.total()));
  if (copy.total() >= by_two) {
    WorkByTwo(copy, progress);
  } else {
    copy.Work(progress);
  }
  return copy.status();
}

}  // namespace

absl::Status DrainPages(const MemorySource& source, std::span<const PageRun> runs, PageSink& sink,
                        const DrainProgress& progress, uint64_t by_two) {
  RETURN_IF_ERROR(sink.stream() == nullptr ? CopyToFile(source, runs, sink, progress, by_two)
                                           : Pass(source, runs, sink, progress));
  if (progress) RETURN_IF_ERROR(progress(BytesOf(runs), BytesOf(runs)));
  for (const PageRun& run : runs) sink.Account(run.start, run.pages);
  return absl::OkStatus();
}

absl::Status DrainParts(std::span<const DrainPart> parts, const DrainProgress& progress,
                        uint64_t by_two) {
  ASSIGN_OR_RETURN(const bool written, LetWrite(parts, progress));
  uint64_t total = 0;
  for (const DrainPart& part : parts) total += BytesOf(part.runs);
  uint64_t done = 0;
  if (!written && parts.size() > 1) {
    for (const DrainPart& part : parts) {
      if (part.sink->stream() == nullptr) {
        RETURN_IF_ERROR(ReserveSpace(*part.sink, BytesOf(part.runs)));
      }
    }
  }
  for (const DrainPart& part : parts) {
    if (written) {
      for (const PageRun& run : part.runs) part.sink->Account(run.start, run.pages);
      continue;
    }
    DrainProgress within;
    if (progress) within = [&](uint64_t some, uint64_t) { return progress(done + some, total); };
    RETURN_IF_ERROR(DrainPages(*part.source, part.runs, *part.sink, within, by_two));
    done += BytesOf(part.runs);
  }
  return written && progress ? progress(total, total) : absl::OkStatus();
}

absl::Status DrainInTurn(std::span<const DrainPart> parts, const DrainProgress& progress,
                         uint64_t by_two) {
  uint64_t total = 0;
  for (const DrainPart& part : parts) total += BytesOf(part.runs);
  uint64_t done = 0;
  for (const DrainPart& part : parts) {
    DrainProgress within;
    if (progress) within = [&](uint64_t some, uint64_t) { return progress(done + some, total); };
    RETURN_IF_ERROR(DrainParts(std::span(&part, 1), within, by_two));
    done += BytesOf(part.runs);
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
