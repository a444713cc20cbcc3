#include "dump/ns/namespace_file.h"

#include <sched.h>

#include <algorithm>
#include <array>
#include <string>

#include "absl/strings/str_cat.h"

namespace dumpctl {
namespace {

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

// By kNamespaces.
constexpr std::array<uint32_t, kNamespaces.size()> kCloneFlags = {
    CLONE_NEWPID, CLONE_NEWNET,  CLONE_NEWIPC,    CLONE_NEWUTS,
    CLONE_NEWNS,  CLONE_NEWUSER, CLONE_NEWCGROUP, CLONE_NEWTIME};

}  // namespace

std::variant<image::ns_file_entry, WhyNotText> NamespaceFile(
    ino_t inode, const NamespaceLinks& task, const image::task_kobj_ids_entry& ids) {
  // Each link says its inode, which no other namespace has.
  const std::string number = absl::StrCat(":[", inode, "]");
  const auto found = std::find_if(task.links.begin(), task.links.end(),
                                  [&](const std::string& link) { return link.ends_with(number); });
  if (found == task.links.end()) {
    return WhyNotText{"none of the processes is in this namespace, so that a restore has none",
                      "let the program close it"};
  }
  const auto place = static_cast<size_t>(found - task.links.begin());
  const std::array<uint32_t, kNamespaces.size()> numbers = {
      ids.pid_ns_id(), ids.net_ns_id(),  ids.ipc_ns_id(),    ids.uts_ns_id(),
      ids.mnt_ns_id(), ids.user_ns_id(), ids.cgroup_ns_id(), ids.time_ns_id()};
  image::ns_file_entry entry;
  entry.set_ns_id(numbers[place]);
  entry.set_ns_cflag(kCloneFlags[place]);
  return entry;
}

}  // namespace dumpctl
