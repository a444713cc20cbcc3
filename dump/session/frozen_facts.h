#ifndef DUMP_SESSION_FROZEN_FACTS_H_
#define DUMP_SESSION_FROZEN_FACTS_H_

#include <sys/stat.h>

#include <cstdint>
#include <future>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/fd/descriptor.h"
#include "dump/fd/pipe_contents.h"
#include "dump/mm/page_scanner.h"
#include "dump/ns/namespaces.h"
#include "dump/session/preflight.h"
#include "dump/session/target.h"
#include "dump/task/process_facts.h"
#include "dump/task/seccomp_collector.h"
#include "dump/task/thread_facts.h"
#include "dump/tracee/frozen_task.h"
#include "proc/kernel_features.h"
#include "proc/vma_list.h"

namespace dumpctl {

// A file that a task refers to without a descriptor: its program, its working and root directories.
struct NamedFile {
  struct stat stat = {};
  std::string path;
};

// All that is read while a task is frozen, but the contents of its memory. Nothing of it is turned
// into anything here: that is done when the task runs again.
struct FrozenFacts {
  ProcessFacts process;
  std::vector<ThreadFacts> threads;                      // the leader first
  std::vector<std::optional<uint32_t>> seccomp_filters;  // by thread
  SeccompCollector seccomp;
  NamedFile exe;
  NamedFile cwd;
  NamedFile root;
  std::string auxv;
  std::vector<Descriptor> descriptors;
  std::map<ino_t, TeedPipe> pipes;
  VmaList vmas;
  ScannedPages pages;
  // The clocks as we see them, and what the task's time namespace adds to them; empty where the
  // kernel has no such namespaces.
  timespec monotonic = {};
  timespec boottime = {};
  std::string timens_offsets_text;
  NamespaceLinks namespaces;
};

// The process and its threads, as procfs and ptrace tell of them from outside.
absl::StatusOr<FrozenFacts> ReadTaskFacts(const FrozenTask& task);

// What only the task itself can tell. When this returns, the task stands as it stood before.
absl::Status AskTask(const FrozenTask& task, FrozenFacts& facts);

// What the task holds: mappings, pages, descriptors and the rest.
absl::Status ReadHoldings(const FrozenTask& task, const Target& target, Preflight& preflight,
                          const KernelFeatures& features, FrozenFacts& facts);

// VmFlags of all mappings, ascending.
struct ReadFlags {
  std::vector<MappingFlags> flags;
  bool by_bpf = false;
};
absl::StatusOr<ReadFlags> ReadFlagsFromSmaps(const FrozenTask& task);

// By `by_bpf` where it is not null and works, else from smaps, which is slow; so it is done beside
// whatever else is done. Not before the task was asked, whose mappings are not its own meanwhile.
// Get before it runs again.
std::future<absl::StatusOr<ReadFlags>> ReadFlagsBeside(const FrozenTask& task,
                                                       const BpfVmFlags* by_bpf);

}  // namespace dumpctl

#endif  // DUMP_SESSION_FROZEN_FACTS_H_
