#ifndef PROC_THREAD_ROWS_H_
#define PROC_THREAD_ROWS_H_

#include <sys/types.h>

#include <cstddef>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "proc/bpf_threads.h"
#include "proc/thread_row.h"

namespace dumpctl {

// What the kernel keeps of the threads of processes that have many. Who finds no row of a thread
// asks for it by other means.
class ThreadRows {
 public:
  using ByTid = absl::flat_hash_map<pid_t, ThreadRow>;

  // `may_load`: see KernelFeature::kBpfTask.
  explicit ThreadRows(bool may_load) : may_load_(may_load) {}

  // Of a process that was seen to have so many threads: none where they are too few to be worth it,
  // or where the kernel does not let us. Loads what it takes, the first time.
  ByTid Learn(pid_t pid, size_t threads);
  // The same, but loads nothing.
  ByTid Read(pid_t pid, size_t threads) const;

 private:
  bool may_load_;
  std::optional<BpfThreads> loaded_;
};

}  // namespace dumpctl

#endif  // PROC_THREAD_ROWS_H_
