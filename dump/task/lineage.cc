#include "dump/task/lineage.h"

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dumpctl/printable.h"

namespace dumpctl {
namespace {

// Whether a child of `parent` can have been born into `session`.
bool CanBeBornInto(pid_t session, const TaskStat* parent,
                   const std::map<pid_t, const TaskStat*>& tasks) {
  while (parent != nullptr) {
    if (parent->session == session) return true;
    // Only who leads a session has been in another one before.
    if (parent->session != parent->pid) return false;
    const auto next = tasks.find(parent->ppid);
    parent = next == tasks.end() ? nullptr : next->second;
  }
  return false;
}

struct SharedKind {
  uint32_t ObjectIds::*id;
  const char* what;
  const char* flag;
};

constexpr SharedKind kNotRestored[] = {
    {&ObjectIds::vm, "memory", "CLONE_VM"},
    {&ObjectIds::fs, "working directory and umask", "CLONE_FS"},
};

}  // namespace

ResourceRefusals RefuseLineage(std::span<const TaskStat> tree) {
  ResourceRefusals refusals;
  std::map<pid_t, const TaskStat*> tasks;
  for (const TaskStat& task : tree) tasks.emplace(task.pid, &task);
  for (size_t i = 1; i < tree.size(); ++i) {
    const TaskStat& task = tree[i];
    if (task.session == task.pid) continue;
    const auto parent = tasks.find(task.ppid);
    if (parent == tasks.end()) continue;  // it has gone since
    if (CanBeBornInto(task.session, parent->second, tasks)) continue;
    refusals.push_back({task.pid, absl::StrCat("session ", task.session),
                        absl::StrCat("its parent, process ", task.ppid,
                                     ", has adopted it from a session that it never was in itself, "
                                     "so that after a restore it would be a child of init"),
                        "end it, or start it without a session of its own (setsid)"});
  }
  return refusals;
}

ResourceRefusals RefuseShared(std::span<const TaskStat> tree, std::span<const ObjectIds> ids) {
  ResourceRefusals refusals;
  for (const SharedKind& kind : kNotRestored) {
    std::map<uint32_t, pid_t> owners;
    for (size_t i = 0; i < tree.size(); ++i) {
      const auto [owner, is_new] = owners.try_emplace(ids[i].*kind.id, tree[i].pid);
      if (is_new) continue;
      refusals.push_back(
          {tree[i].pid, kind.what,
           absl::StrCat("it shares them with process ", owner->second, " (clone(2), ", kind.flag,
                        "), and a restore would give it its own"),
           "wait until it runs a program of its own (execve), or end it"});
    }
  }
  return refusals;
}

ResourceRefusals RefuseZombie(const TaskStat& zombie) {
  // As wait(2) gives it: a restorer takes seven bits of the exit status.
  const int status = (zombie.exit_code >> 8) & 0xff;
  if ((zombie.exit_code & 0x7f) != 0 || status < 0x80) return {};
  return {{zombie.pid, absl::StrCat("zombie (", Printable(zombie.comm), ")"),
           absl::StrCat("it has ended with ", status, ", and after a restore its parent, process ",
                        zombie.ppid, ", would be told ", status & 0x7f),
           "let its parent wait for it first"}};
}

}  // namespace dumpctl
