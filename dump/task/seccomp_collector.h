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

// The seccomp filters of all threads of a dump, in the order in which a restore installs them: a
// thread names its eldest, and each filter's `prev` is the one that was installed after it. (The
// order shows: of filters that refuse alike, the youngest one's errno is reported.) Threads share
// entries where filter, flags and all that was installed after are the same, which is all that a
// restore can tell, too.
class SeccompCollector {
 public:
  // Reads the filters of one thread (PTRACE_SECCOMP_GET_FILTER, Linux 4.4; flags by
  // PTRACE_SECCOMP_GET_METADATA, 4.16; both need CAP_SYS_ADMIN). Gives the index of the eldest,
  // behind which the others hang; none when the thread has none.
  absl::StatusOr<std::optional<uint32_t>> Collect(pid_t tid);

  const image::seccomp_entry& entry() const { return entry_; }

 private:
  using Key = std::tuple<std::string, uint32_t, int64_t>;  // program, flags, index of the younger

  image::seccomp_entry entry_;
  std::map<Key, uint32_t> known_;
};

}  // namespace dumpctl

#endif  // DUMP_TASK_SECCOMP_COLLECTOR_H_
