#include "dump/mm/shared_order.h"

#include <algorithm>
#include <cstddef>
#include <map>

namespace dumpctl {
namespace {

// One object, while a restore is played through.
struct Object {
  pid_t maker = 0;
  size_t to_open = 0;  // mappings of others than the maker that are still to come
  bool made = false;
};

using Objects = std::map<uint64_t, Object>;

Objects ObjectsOf(std::span<const SharedMappings> tasks) {
  Objects objects;
  for (const SharedMappings& task : tasks) {
    for (const uint64_t id : task.objects) {
      Object& object = objects[id];
      object.maker = object.maker == 0 ? task.pid : std::min(object.maker, task.pid);
    }
  }
  for (const SharedMappings& task : tasks) {
    for (const uint64_t id : task.objects) {
      Object& object = objects[id];
      object.to_open += object.maker == task.pid ? 0 : 1;
    }
  }
  return objects;
}

// Goes on from the mapping `next` until the task has to wait; gives the one it waits at.
size_t GoOn(const SharedMappings& task, size_t next, Objects& objects) {
  for (; next < task.objects.size(); ++next) {
    Object& object = objects[task.objects[next]];
    if (object.maker == task.pid) {
      object.made = true;
      if (object.to_open > 0) break;
    } else {
      if (!object.made) break;
      --object.to_open;
    }
  }
  return next;
}

}  // namespace

SharedMappings SharedMappingsOf(pid_t pid, const VmaList& vmas) {
  SharedMappings task{.pid = pid};
  for (const Vma& vma : vmas) {
    if (vma.kind == VmaKind::kAnonShared && vma.facts) task.objects.push_back(vma.facts->shmem_id);
  }
  return task;
}

ResourceRefusals RefuseSharedOrder(std::span<const SharedMappings> tasks) {
  Objects objects = ObjectsOf(tasks);
  std::vector<size_t> next(tasks.size());
  // Whoever makes an object lets others go on, and is let go on by them.
  for (bool moved = true; moved;) {
    const auto made = [](const auto& each) { return each.second.made; };
    const auto before = std::count_if(objects.begin(), objects.end(), made);
    moved = false;
    for (size_t i = 0; i < tasks.size(); ++i) {
      const size_t reached = GoOn(tasks[i], next[i], objects);
      moved = moved || reached != next[i];
      next[i] = reached;
    }
    moved = moved || std::count_if(objects.begin(), objects.end(), made) != before;
  }
  ResourceRefusals refusals;
  for (size_t i = 0; i < tasks.size(); ++i) {
    if (next[i] == tasks[i].objects.size()) continue;
    refusals.push_back({tasks[i].pid, "anonymous shared memory",
                        "it is mapped in another order, or on both sides of other such memory, in "
                        "processes that share it, and a restore would wait for ever",
                        "let the program not move its shared mappings (mremap)"});
  }
  return refusals;
}

}  // namespace dumpctl
