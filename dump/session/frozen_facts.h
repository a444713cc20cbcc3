#ifndef DUMP_SESSION_FROZEN_FACTS_H_
#define DUMP_SESSION_FROZEN_FACTS_H_

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/fd/descriptor.h"
#include "dump/fd/fd_collector.h"
#include "dump/fd/file_name.h"
#include "dump/fd/file_table.h"
#include "dump/fd/ghost_files.h"
#include "dump/fd/watched_files.h"
#include "dump/mm/page_scanner.h"
#include "dump/mm/shared_memory.h"
#include "dump/mm/shared_pages.h"
#include "dump/ns/namespaces.h"
#include "dump/ns/sysv_ipc.h"
#include "dump/session/preflight.h"
#include "dump/session/side_facts.h"
#include "dump/session/tree_cgroups.h"
#include "dump/sk/inet_policy.h"
#include "dump/sk/inet_sockets.h"
#include "dump/sk/netlink_sockets.h"
#include "dump/sk/packet_sockets.h"
#include "dump/sk/unix_sockets.h"
#include "dump/task/process_facts.h"
#include "dump/task/seccomp_collector.h"
#include "dump/task/shared_objects.h"
#include "dump/task/thread_facts.h"
#include "dump/tracee/frozen_task.h"
#include "dump/tracee/frozen_tree.h"
#include "dump/tty/terminal.h"
#include "proc/kernel_features.h"
#include "proc/vma_list.h"

namespace dumpctl {

// VmFlags of all mappings, ascending.
struct ReadFlags {
  std::vector<MappingFlags> flags;
  bool by_bpf = false;
};

// All that is read of one task while it is frozen, but the contents of its memory. Nothing of it is
// turned into anything here: that is done when the task runs again.
struct FrozenFacts {
  ProcessFacts process;
  std::vector<ThreadFacts> threads;                      // the leader first
  std::vector<std::optional<uint32_t>> seccomp_filters;  // by thread
  ObjectIds objects;
  NamedFile exe;
  NamedFile cwd;
  NamedFile root;
  std::string auxv;
  // None where another task of the tree, before it, has the same table (`objects`).
  std::optional<std::vector<Descriptor>> descriptors;
  VmaList vmas;
  std::optional<ReadFlags> flags;  // where they came with the mappings
  ScannedPages pages;
  // `pages` are not all yet: the task is to have a copy, in which they are looked for while it runs
  // again (CopyPhases).
  bool scanned_later = false;
  // It may share pages with others copy-on-write, which are not among those that are read once for
  // all (TreeFacts::shared_pages).
  bool may_share = false;
  bool may_share_outside = false;  // with processes that are not dumped
  // Memory of it stands in parent images by now (PreCopy), which nothing else may be put into; and
  // what of it is told to be as it was: see ScanPages. They live as long.
  bool pre_copied = false;
  std::span<const PageRun> saved;
  ResourceRefusals refusals;  // of what shows only while it is frozen
  // What the task's time namespace adds to the clocks; empty where the kernel has none.
  std::string timens_offsets_text;
  NamespaceLinks namespaces;
  std::vector<std::string> others_of_children;  // see OtherNamespacesOfChildren
};

// By the number of our own descriptor.
using TreeTerminals = std::map<int, TerminalFacts>;

// The same of a tree, and what its tasks share.
struct TreeFacts {
  std::vector<FrozenFacts> tasks;  // parents before their children
  std::vector<Zombie> zombies;
  SeccompCollector seccomp;
  FileRules file_rules;
  NamespaceLinks dumper_namespaces;
  GhostTable ghosts;
  LinkedFiles linked;
  UntouchedFiles untouched;
  std::shared_ptr<WatchedFiles> watched = std::make_shared<WatchedFiles>();
  TeedPipes pipes;
  SharedObjects shared_memory;
  SharedPages shared_pages;  // that are not among the tasks' own pages
  std::vector<SysvAttachment> sysv_attachments;
  SysvIpc sysv;
  UnixSockets unix_sockets;
  InetSockets inet_sockets;
  bool port_programs_untold = false;  // ports are shared, and the kernel does not tell how
  std::map<uint32_t, NetlinkSocketFacts> netlink_sockets;  // by inode
  PacketSockets packet_sockets;
  std::string run_id;  // what the inventory calls this dump
  NetworkLock network_lock = NetworkLock::kIptables;
  std::vector<Descriptor> queued;  // what waits in the queues of sockets, in the order of Read
  std::vector<UniqueFd> asked;     // copies of what has told all by now, to be closed
  TreeTerminals terminals;
  TreeCgroups cgroups;
  // The clocks as we see them.
  timespec monotonic = {};
  timespec boottime = {};
};

// A process and its threads, as procfs and ptrace tell of them from outside.
absl::StatusOr<FrozenFacts> ReadTaskFacts(const FrozenTask& task, SeccompCollector& seccomp);

// Whether system calls may be run in its leader, which ReadTaskFacts finds out, too. Errors:
// kForeignAbi for 32-bit code, kPermission where a seccomp filter would see them.
absl::Status CheckMayRunCalls(const FrozenTask& task);

// What the tasks hold: mappings, pages, descriptors and the rest, what is read as `side` among it.
// With `by_bpf` (it may be null), or where no helper is worth it, the flags of mappings as well.
absl::Status ReadHoldings(const FrozenTree& tree, Preflight& preflight, const BpfVmFlags* by_bpf,
                          const KernelFeatures& features, SideFactsRead side, TreeFacts& facts);

}  // namespace dumpctl

#endif  // DUMP_SESSION_FROZEN_FACTS_H_
