#ifndef DUMP_NS_NAMESPACES_H_
#define DUMP_NS_NAMESPACES_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/resource_refusal.h"
#include "proc/proc_fs.h"
#include "proto/core.pb.h"

namespace dumpctl {

// namespaces(7) in the order of the ids in an image.
inline constexpr std::array<std::string_view, 8> kNamespaces = {"pid", "net",  "ipc",    "uts",
                                                                "mnt", "user", "cgroup", "time"};

// The links of /proc/PID/ns ("net:[4026531840]"), by kNamespaces. Empty for a namespace that this
// kernel does not have.
struct NamespaceLinks {
  std::array<std::string, kNamespaces.size()> links;
};

absl::StatusOr<NamespaceLinks> ReadNamespaces(const ProcDir& task);

// Which namespaces its children come into are others than its own (unshare(2), setns(2)): "pid",
// "time". Of a pid namespace that has had nobody yet the kernel shows no link; the first who is
// started there is its init, with which it ends.
std::vector<std::string> OtherNamespacesOfChildren(const ProcDir& task, const NamespaceLinks& own);

// A task in a namespace other than the dumper's: its contents would have to be dumped, too. A time
// namespace has none but its clocks, so it need not be the dumper's, but is one for the whole tree:
// that of its root.
ResourceRefusals RefuseForeignNamespaces(pid_t pid, const NamespaceLinks& task,
                                         const NamespaceLinks& dumper, const NamespaceLinks& root);

// Numbers the namespaces of a dump: restore inherits a namespace whose id equals the one in the
// inventory. Kernel objects (memory, descriptor table, ...) are numbered apart.
void SetNamespaceIds(const NamespaceLinks& links, image::task_kobj_ids_entry& ids);

// Whether a task has a time namespace of its own: every restored task has. Its number is then
// kOwnTimeNamespace, and that of its clocks' image, too.
bool HasOwnTimeNamespace(const NamespaceLinks& task, const NamespaceLinks& dumper);
inline constexpr uint32_t kOwnTimeNamespace = kNamespaces.size() + 1;

}  // namespace dumpctl

#endif  // DUMP_NS_NAMESPACES_H_
