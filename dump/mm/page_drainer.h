#ifndef DUMP_MM_PAGE_DRAINER_H_
#define DUMP_MM_PAGE_DRAINER_H_

#include <cstdint>
#include <functional>
#include <span>

#include "absl/status/status.h"
#include "dump/image/page_run.h"
#include "dump/image/page_sink.h"
#include "dump/mm/memory_source.h"
#include "dump/mm/self_writer.h"

namespace dumpctl {

// Each page of a buffer is touched for the first time, and larger ones copy no faster.
inline constexpr uint64_t kDrainBuffer = 256 << 10;
// With O_DIRECT a disk is asked for each piece, and likes them large.
inline constexpr uint64_t kDirectBuffer = 4 << 20;
// From this size on a second thread is worth its start, even where another one could drain
// something else meanwhile; and where there is nothing else.
inline constexpr uint64_t kDrainByTwo = 8 << 20;
inline constexpr uint64_t kDrainAloneByTwo = 2 << 20;

// Told how far a drain is, in bytes: at most every 100 ms, and when all is done. Called by the
// thread that called DrainPages, which ends with the error that this returns.
using DrainProgress = std::function<absl::Status(uint64_t done, uint64_t total)>;

// Writes the pages of `runs` (ascending) behind what `sink` holds, and accounts them. Memory is
// bounded whatever the size: a kDrainBuffer for each of at most two threads, or what a stream
// holds. A file's space is reserved first, so that a full disk shows before anything is copied. Of
// so many bytes on as `by_two` says a second thread copies along.
//
// Errors: Failure::kNoSpace when the disk is full, Failure::kTargetDied, MemorySource's, those of
// `progress`. Nothing is accounted then, and the file is of no use.
absl::Status DrainPages(const MemorySource& source, std::span<const PageRun> runs, PageSink& sink,
                        const DrainProgress& progress = {}, uint64_t by_two = kDrainByTwo);

// What goes into one sink, of several that are written at the same time.
struct DrainPart {
  const MemorySource* source;
  std::span<const PageRun> runs;
  PageSink* sink;
  SelfWriter* writer = nullptr;  // null: there is none
};

// The same, where tasks write themselves. Each writer writes what it can of a file that is not
// written directly, the rest is read from the source. Where one of them cannot, the parts are
// drained as above, one after the other.
absl::Status DrainParts(std::span<const DrainPart> parts, const DrainProgress& progress = {},
                        uint64_t by_two = kDrainByTwo);
// The same one after the other, each by its own writer where it has one.
absl::Status DrainInTurn(std::span<const DrainPart> parts, const DrainProgress& progress = {},
                         uint64_t by_two = kDrainByTwo);

}  // namespace dumpctl

#endif  // DUMP_MM_PAGE_DRAINER_H_
