#ifndef DUMP_SESSION_HOST_CHECK_H_
#define DUMP_SESSION_HOST_CHECK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/tracee/ptrace_probe.h"
#include "dumpctl/failure.h"
#include "proc/kernel_features.h"

namespace dumpctl {

enum class HostState : uint8_t {
  kOk,
  kAbsent,   // a dump does without it: `remedy` is the fallback
  kMissing,  // a dump cannot work: `remedy` is what to do
};

// One thing that a dump uses, and whether this host and this caller have it.
struct HostFinding {
  std::string name;
  HostState state = HostState::kOk;
  std::string use;
  std::string remedy;                    // empty when all is well
  Failure failure = Failure::kInternal;  // kPermission or kHost, when it is missing
};

// What the findings are made of, so that they are tested without a kernel.
struct HostFacts {
  uint64_t capabilities = 0;        // effective, bit n = capability n
  std::optional<int> ptrace_scope;  // Yama's; none without Yama
  bool map_files = false;           // the links of our own /proc/PID/map_files can be followed
  bool foreign_tasks = false;       // /proc shows tasks of others
  bool memfd = false;
  bool mount_id = false;  // statx(2) gives STATX_MNT_ID, Linux 5.8
  PtraceAbilities ptrace;
};

absl::StatusOr<HostFacts> ReadHostFacts();
std::vector<HostFinding> JudgeHost(const HostFacts& facts, const KernelFeatures& features);

// OK when a dump can work; else one line that names all that is missing, with kPermission where it
// is for the caller to get, kHost where the kernel lacks it.
absl::Status HostStatus(const std::vector<HostFinding>& findings);

}  // namespace dumpctl

#endif  // DUMP_SESSION_HOST_CHECK_H_
