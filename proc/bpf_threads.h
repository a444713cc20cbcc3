#ifndef PROC_BPF_THREADS_H_
#define PROC_BPF_THREADS_H_

#include <sys/types.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"
#include "proc/thread_row.h"

namespace dumpctl {

// Reads what the kernel keeps of all threads of a process at once, where procfs takes a dozen
// system calls for each, and some that the thread has to make itself: by a BPF program that the
// kernel runs for each of them. Thread-safe.
class BpfThreads {
 public:
  // Some 3 ms of CPU time, which only many threads are worth. Errors: whatever stands in the way,
  // all of which mean to ask for each thread.
  static absl::StatusOr<BpfThreads> Load();

  // Of the threads of the process `pid`, as this process's pid namespace counts, in any order. One
  // that starts or ends meanwhile may be missing.
  absl::StatusOr<std::vector<ThreadRow>> Read(pid_t pid) const;

 private:
  BpfThreads(UniqueFd program, uint32_t children)
      : program_(std::move(program)), children_(children) {}

  UniqueFd program_;
  uint32_t children_;  // where the kernel has the list of them in a thread
};

}  // namespace dumpctl

#endif  // PROC_BPF_THREADS_H_
