#ifndef DUMP_SESSION_PREFLIGHT_H_
#define DUMP_SESSION_PREFLIGHT_H_

#include <sys/types.h>

#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/fd/descriptor.h"
#include "dump/fd/file_name.h"
#include "dump/ns/namespaces.h"
#include "dump/session/dump_options.h"
#include "dump/session/peek_guardian.h"
#include "dump/session/target.h"
#include "dump/sk/socket_likeness.h"
#include "dump/task/shared_objects.h"
#include "dumpctl/resource_refusal.h"
#include "proc/bpf_aio_contexts.h"
#include "proc/bpf_open_files.h"
#include "proc/bpf_terminal_queues.h"
#include "proc/bpf_vm_flags.h"
#include "proc/kernel_features.h"
#include "proc/mapped_file_cache.h"
#include "proc/mount_watch.h"
#include "proc/vma_list.h"

namespace dumpctl {

// What was learnt of a task while it still runs, and saves the freeze from asking again.
struct TaskPreflight {
  std::optional<VmaList> vmas;  // none when the task changed its mappings faster than we read
  // That `vmas` was built from. Empty where they are many, and BPF told of them.
  std::string maps_text;
  std::optional<std::vector<Glance>> glances;  // where they are few, until they are looked at
  std::vector<Descriptor> descriptors;         // where they are many
  uint64_t page_tables = 0;                    // KiB
};

struct Preflight {
  ResourceRefusals blockers;
  dev_t kernel_tmpfs = 0;
  FileRules file_rules;
  NamespaceLinks namespaces;  // our own
  uint64_t mount_namespace = 0;
  bool cgroups_differ = false;  // some task is in others than we are
  std::string dumpers_cgroups;  // as our /proc/PID/cgroup tells them
  // Every mapped file opened and stat-ed once. The lists that are built from the frozen tasks
  // borrow all of them through `cache`, and open only what was mapped since.
  std::unique_ptr<MappedFileCache> cache;
  std::map<pid_t, TaskPreflight> tasks;
  // What looks into the queues of terminals, where the tree has some.
  std::optional<BpfTerminalQueues> terminal_queues;
  // What tells which requests of native asynchronous I/O are under way, where there may be some.
  std::optional<BpfAioContexts> aio_contexts;
  // What reads the descriptors of a task at once, where there are many of them; and what tells
  // whether their names lead where they led by then (Descriptor::named).
  std::optional<BpfOpenFiles> open_files;
  std::optional<MountWatch> mounts;
  // In which the tasks stood to each other by then.
  ObjectOrder object_order;
  // For what waits in sockets. Started by now where there are many descriptors.
  std::unique_ptr<PeekGuardian> peek_guardian;
  // What compares unix sockets, where there are many of them.
  std::optional<SocketLikeness> socket_likeness;
  std::set<ino_t> shared_memory;  // the inodes of SharedObjects, as far as there are some yet
  // Whether there is enough to be read beside the rest of the freeze to have another thread do it.
  bool worth_helper = true;
  // What tells VmFlags without smaps, where smaps would be slow; loaded by another thread. An error
  // of it means no more than that smaps has to be read.
  std::shared_future<absl::StatusOr<BpfVmFlags>> flags_by_bpf;
};

// Looks the running targets over, the root first. Freezes nothing, and leaves nothing in or of
// them. All that stands in the way of a dump is told at once.
absl::StatusOr<Preflight> RunPreflight(const DumpOptions& options, std::span<const Target> targets,
                                       const KernelFeatures& features);

// "process 12, fd 3 (...): why; remedy"
std::string RefusalText(const ResourceRefusal& refusal);

// One error for all: Failure::kRefused, one line, or a line for each of several refusals. `frozen`:
// whether the tree stood still by then.
absl::Status RefusedStatus(const ResourceRefusals& refusals, bool frozen);

}  // namespace dumpctl

#endif  // DUMP_SESSION_PREFLIGHT_H_
