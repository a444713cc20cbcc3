#ifndef DUMP_SESSION_TRACE_FILE_H_
#define DUMP_SESSION_TRACE_FILE_H_

#include <sys/types.h>

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "dumpctl/trace.h"

namespace dumpctl {

// Whom a trace is of.
struct TraceSubject {
  pid_t pid = 0;
  std::string comm;
};

// The spans as Chrome's trace events ("Trace Event Format", the object form), which Perfetto and
// others open: times in us from the first span's beginning; our threads with their ids, and the
// subject as a process of its own with one track, that of its freeze. `outcome`: how the dump
// ended.
std::string TraceText(const TraceBuffer& trace, pid_t dumper, const TraceSubject& subject,
                      const absl::Status& outcome);

// Failure::kImagesDir where no file can be put at `path`, or something stands there that is none.
absl::Status CheckTraceFile(const std::string& path);

// Spans are kept as long as it lives.
class DumpTrace {
 public:
  // 10 MB. A buffer of memory has two: those of 20 GiB find room. Those of the phases have their
  // own.
  static constexpr size_t kMostEvents = 100'000;

  explicit DumpTrace(size_t most = kMostEvents) : buffer_(most), scope_(buffer_) {}

  size_t most() const { return buffer_.most(); }
  // How many found no room. As for Write.
  size_t dropped() const { return buffer_.dropped(); }

  // To be called when all other threads have ended. A file there is replaced, whole or not at all.
  absl::Status Write(const std::string& path, const TraceSubject& subject,
                     const absl::Status& outcome) const;

 private:
  TraceBuffer buffer_;
  TraceScope scope_;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_TRACE_FILE_H_
