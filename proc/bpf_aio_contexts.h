#ifndef PROC_BPF_AIO_CONTEXTS_H_
#define PROC_BPF_AIO_CONTEXTS_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// A context of native asynchronous I/O (io_setup(2)).
struct AioContext {
  uint32_t capacity = 0;   // events that its ring has room for, and one less requests at a time
  uint32_t under_way = 0;  // requests that have not ended

  friend bool operator==(const AioContext&, const AioContext&) = default;
};

// Tells how many requests are under way, which no other interface does: by a BPF program that the
// kernel runs for each mapping of a task (iter/task_vma). The kernel keeps the requests that may
// still be made on a common account, and some for each processor.
class BpfAioContexts {
 public:
  // Errors: those of LoadBpfIterator, and of Btf where the kernel keeps them in another way.
  static absl::StatusOr<BpfAioContexts> Load();

  // The contexts of the process with that thread, by the address of their rings. Requests that are
  // made or end meanwhile may be counted or not.
  absl::StatusOr<std::map<uint64_t, AioContext>> Read(pid_t tid) const;

 private:
  BpfAioContexts(UniqueFd program, size_t processors)
      : program_(std::move(program)), processors_(processors) {}

  UniqueFd program_;  // and the maps that it uses
  size_t processors_;
};

}  // namespace dumpctl

#endif  // PROC_BPF_AIO_CONTEXTS_H_
