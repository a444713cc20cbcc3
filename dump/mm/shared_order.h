#ifndef DUMP_MM_SHARED_ORDER_H_
#define DUMP_MM_SHARED_ORDER_H_

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <vector>

#include "dumpctl/resource_refusal.h"
#include "proc/vma_list.h"

namespace dumpctl {

// The objects of anonymous shared memory that a task maps, in the order of their mappings.
struct SharedMappings {
  pid_t pid = 0;
  std::vector<uint64_t> objects;  // FileFacts::shmem_id
};

SharedMappings SharedMappingsOf(pid_t pid, const VmaList& vmas);

// Tasks that a restore would not get to the end of. Each goes through its mappings in ascending
// order. Of an object, the task with the lowest pid is the one to make it, and then waits until all
// others have opened it for every mapping of theirs, while they wait for it to be made: where two
// objects lie in another order in another task, or one on both sides of another, both wait for
// ever. Pure.
ResourceRefusals RefuseSharedOrder(std::span<const SharedMappings> tasks);

}  // namespace dumpctl

#endif  // DUMP_MM_SHARED_ORDER_H_
