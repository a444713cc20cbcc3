#ifndef DUMP_SESSION_DUMP_REPORT_H_
#define DUMP_SESSION_DUMP_REPORT_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "dump/session/dump_options.h"

namespace dumpctl {

// What a finished dump tells about itself.
struct DumpReport {
  pid_t pid = 0;
  std::string comm;
  std::string images_dir;
  Outcome outcome = Outcome::kKilled;
  bool died =
      false;  // meanwhile, by itself or by somebody else's hand: `outcome` did not come about

  size_t tasks = 0;
  size_t threads = 0;
  size_t descriptors = 0;

  size_t vmas = 0;
  size_t files_opened = 0;    // under map_files, in the whole dump
  size_t files_borrowed = 0;  // mappings of a file that was open already
  size_t files_closed = 0;    // by the close pass: owned descriptors
  size_t files_skipped = 0;   // by the close pass: borrowed ones
  uint64_t map_files_opens = 0;
  uint64_t map_files_stats = 0;

  uint64_t pages_scanned = 0;
  uint64_t pages_written = 0;
  uint64_t pages_pre_copied = 0;    // of those written: while the process ran, before the freeze
  uint64_t pages_by_copy = 0;       // of those written: while the process ran on
  uint64_t pages_written_once = 0;  // of those written: that several tasks have
  uint64_t pages_not_repeated = 0;  // what these would have been more, each written by each
  uint64_t pages_in_parent = 0;     // that were not, because the previous images hold them
  uint64_t bytes_written = 0;       // all images

  // The next dump can build upon this one.
  bool tracked = false;

  absl::Duration freezing;  // from the first seize until all was stopped
  absl::Duration frozen;    // from the first seize until it ran again, or was dead
  absl::Duration memory_read;
  absl::Duration memory_written;  // both are one, where reading and writing are one pass
  absl::Duration total;

  // How often it stood still before, to be written beforehand, and how long at most.
  size_t stops_beforehand = 0;
  absl::Duration longest_stop_beforehand;

  // What was to be written while the tree runs, and why it was not: each a process, or all.
  std::vector<std::string> fallbacks;
  // State of the task that the image format has no place for.
  std::vector<std::string> not_captured;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_DUMP_REPORT_H_
