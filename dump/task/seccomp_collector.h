#ifndef DUMP_TASK_SECCOMP_COLLECTOR_H_
#define DUMP_TASK_SECCOMP_COLLECTOR_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "absl/status/statusor.h"
#include "proto/seccomp.pb.h"

namespace dumpctl {

// The seccomp filters of all threads of a dump. Threads that inherited a chain, or had it
// synchronized to them, share its entries: a filter is the same when its program, its flags and all
// that was installed before it are the same, which is all a restorer can tell, too.
class SeccompCollector {
 public:
  // Reads the filters of one thread (PTRACE_SECCOMP_GET_FILTER, Linux 4.4; flags by
  // PTRACE_SECCOMP_GET_METADATA, 4.16; both need CAP_SYS_ADMIN). Gives the index of the youngest,
  // which the others hang behind; none when the thread has none.
  absl::StatusOr<std::optional<uint32_t>> Collect(pid_t tid);

  const image::seccomp_entry& entry() const { return entry_; }

 private:
  using Key = std::tuple<std::string, uint32_t, int64_t>;  // program, flags, index of the elder

  image::seccomp_entry entry_;
  std::map<Key, uint32_t> known_;
};

}  // namespace dumpctl

#endif  // DUMP_TASK_SECCOMP_COLLECTOR_H_
