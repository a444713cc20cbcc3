#include "dump/ns/namespaces.h"

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {

absl::StatusOr<NamespaceLinks> ReadNamespaces(const ProcDir& task) {
  NamespaceLinks namespaces;
  for (size_t i = 0; i < kNamespaces.size(); ++i) {
    std::string name = "ns/";
    name += kNamespaces[i];
    absl::StatusOr<std::string> link = task.ReadLink(name);
    // The time namespace is Linux 5.6's, and each can be configured away.
    if (absl::IsNotFound(link.status())) continue;
    RETURN_IF_ERROR(link.status());
    namespaces.links[i] = *std::move(link);
  }
  return namespaces;
}

std::vector<std::string> OtherNamespacesOfChildren(const ProcDir& task, const NamespaceLinks& own) {
  std::vector<std::string> others;
  for (size_t i = 0; i < kNamespaces.size(); ++i) {
    const std::string kind(kNamespaces[i]);
    if ((kind != "pid" && kind != "time") || own.links[i].empty()) continue;
    const auto theirs = task.ReadLink(absl::StrCat("ns/", kind, "_for_children"));
    if (absl::IsNotFound(theirs.status()) || (theirs.ok() && *theirs != own.links[i])) {
      others.push_back(kind);
    }
  }
  return others;
}

ResourceRefusals RefuseForeignNamespaces(pid_t pid, const NamespaceLinks& task,
                                         const NamespaceLinks& dumper, const NamespaceLinks& root) {
  ResourceRefusals refusals;
  for (size_t i = 0; i < kNamespaces.size(); ++i) {
    const std::string kind(kNamespaces[i]);
    if (kind == "time") {
      if (task.links[i] == root.links[i]) continue;
      refusals.push_back({.pid = pid,
                          .resource = absl::StrCat("time namespace ", task.links[i]),
                          .why = absl::StrCat("it is not that of the tree's first process (",
                                              root.links[i], "), and a restore makes one for all"),
                          .remedy = "start the program without a time namespace of its own"});
      continue;
    }
    if (task.links[i] == dumper.links[i]) continue;
    refusals.push_back(
        {.pid = pid,
         .resource = absl::StrCat(kind, " namespace ", task.links[i]),
         .why = absl::StrCat("it is not dumpctl's own (", dumper.links[i],
                             "), and namespaces are not dumped by this version"),
         .remedy = absl::StrCat("run dumpctl inside it: nsenter --target ", pid, " --", kind)});
  }
  return refusals;
}

void SetNamespaceIds(const NamespaceLinks& links, image::task_kobj_ids_entry& ids) {
  // One set of namespaces, the dumper's own, so the place in the list is the number.
  uint32_t id = 1;
  ids.set_pid_ns_id(id++);
  ids.set_net_ns_id(id++);
  ids.set_ipc_ns_id(id++);
  ids.set_uts_ns_id(id++);
  ids.set_mnt_ns_id(id++);
  ids.set_user_ns_id(id++);
  ids.set_cgroup_ns_id(id++);
  if (!links.links.back().empty()) ids.set_time_ns_id(id++);
}

bool HasOwnTimeNamespace(const NamespaceLinks& task, const NamespaceLinks& dumper) {
  static_assert(kNamespaces.back() == "time");
  return task.links.back() != dumper.links.back();
}

}  // namespace dumpctl
