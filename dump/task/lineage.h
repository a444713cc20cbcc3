#ifndef DUMP_TASK_LINEAGE_H_
#define DUMP_TASK_LINEAGE_H_

#include <span>

#include "dump/task/shared_objects.h"
#include "dumpctl/resource_refusal.h"
#include "proc/stat_parser.h"

namespace dumpctl {

// What of a tree's shape no restore can make again. Pure.
//
// A process gets its session from its parent when it is born, or leads one of its own. So a restore
// can put one into a session that its parent is in, or has been in before it led its own; any other
// came to its parent by the death of the one before (init, or a subreaper), and after a restore it
// would be init's. `tree` is all processes, parents before their children, the root first; the
// root's own session is for others to judge.
ResourceRefusals RefuseLineage(std::span<const TaskStat> tree);

// Memory, working directory, umask and signal handlers that processes share: a restore gives each
// its own. (It makes them share descriptor tables.) `tree` and `ids` are in one order.
ResourceRefusals RefuseShared(std::span<const TaskStat> tree, std::span<const ObjectIds> ids);

// A zombie whose parent would be told something else.
ResourceRefusals RefuseZombie(const TaskStat& zombie);

}  // namespace dumpctl

#endif  // DUMP_TASK_LINEAGE_H_
