#ifndef DUMP_SESSION_WRITER_ALONG_H_
#define DUMP_SESSION_WRITER_ALONG_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/mm/self_writer.h"
#include "dump/session/copy_guardian.h"
#include "dump/tracee/frozen_task.h"
#include "dump/tracee/process_copy.h"
#include "dump/tracee/remote_syscalls.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// A process with the very memory of another one that runs, which writes that memory into a file:
// what WriterBeside is to one that stands. It needs none of the memory for itself, and so shows in
// none of it. A scope; at its end the process has waited for it, and when we are killed the
// guardian sees to that.
//
// Until then whoever asks the kernel whether the process has its memory for itself is told that it
// has not: unshare(2) of CLONE_VM fails with EINVAL, and memory of a program that it leaves by
// execve(2) is free only at the end.
class WriterAlong {
 public:
  // While the process stands, with `calls` of it, and was started at `start_time`. `guardian`,
  // which is started, must outlive it. Errors: why there is none; the process is as it was then.
  static absl::StatusOr<std::unique_ptr<WriterAlong>> Start(RemoteSyscalls& calls,
                                                            const FrozenTask& task,
                                                            uint64_t start_time,
                                                            CopyGuardian& guardian,
                                                            BorrowedFd file);
  WriterAlong(const WriterAlong&) = delete;
  WriterAlong& operator=(const WriterAlong&) = delete;
  ~WriterAlong();

  // Into `file`, once the process runs.
  SelfWriter& writer() { return *writer_; }

  // Ends, and the process waits for it, which stands for that with `calls` of it.
  absl::Status End(RemoteSyscalls& calls, const FrozenTask& task);

 private:
  WriterAlong(CopyGuardian& guardian, size_t number, ProcessCopy process,
              std::unique_ptr<SelfWriter> writer)
      : guardian_(guardian),
        number_(number),
        process_(std::move(process)),
        writer_(std::move(writer)) {}

  CopyGuardian& guardian_;
  size_t number_;  // of the guardian
  ProcessCopy process_;
  std::unique_ptr<SelfWriter> writer_;
  bool ended_ = false;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_WRITER_ALONG_H_
