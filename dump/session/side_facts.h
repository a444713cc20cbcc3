#ifndef DUMP_SESSION_SIDE_FACTS_H_
#define DUMP_SESSION_SIDE_FACTS_H_

#include <sys/stat.h>

#include <future>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/ns/namespaces.h"
#include "dump/session/helper.h"
#include "dump/task/process_facts.h"
#include "dump/tracee/frozen_tree.h"

namespace dumpctl {

// A file that a task refers to without a descriptor: its program, its working and root directories.
struct NamedFile {
  struct stat stat = {};
  std::string path;  // as the link says it
};

// Links and texts of a frozen task that nothing is waiting for while it is asked.
struct SideFacts {
  NamedFile exe;
  NamedFile cwd;
  NamedFile root;
  // What the task's time namespace adds to the clocks; empty where that is the dumper's own.
  std::string timens_offsets_text;
  NamespaceLinks namespaces;
  std::vector<std::string> others_of_children;  // see OtherNamespacesOfChildren
  ProcessTexts texts;
};

// From so many tasks on it is worth waking another thread, which takes as long as reading some.
inline constexpr size_t kWorthWaking = 8;

// Of all tasks, in their order, by `helper`. Of few tasks it is done by whoever gets it. `dumper`
// stays there as long.
using SideFactsRead = std::future<absl::StatusOr<std::vector<SideFacts>>>;
SideFactsRead ReadSideFacts(const FrozenTree& tree, const NamespaceLinks& dumper, Helper& helper);

}  // namespace dumpctl

#endif  // DUMP_SESSION_SIDE_FACTS_H_
