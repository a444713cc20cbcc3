#ifndef DUMP_SESSION_TASK_IMAGES_H_
#define DUMP_SESSION_TASK_IMAGES_H_

#include <sys/types.h>

#include <cstdint>
#include <map>

#include "absl/status/status.h"
#include "dump/fd/fd_collector.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/image_set.h"
#include "dump/session/memfd_files.h"
#include "proto/core.pb.h"

namespace dumpctl {

// Turns what was read of one task into the images that are its own: core of each thread, mm, fs,
// ids and, unless another task before it has the same table, fdinfo. `cgroups`: the sets of the
// tree's threads; `namespaces`: the ids that all tasks of the tree have.
absl::Status AddTaskImages(const FrozenFacts& facts, const std::map<pid_t, uint32_t>& cgroups,
                           const image::task_kobj_ids_entry& namespaces, FdCollector& descriptors,
                           MemfdFiles& memfds, ImageSet& images);

}  // namespace dumpctl

#endif  // DUMP_SESSION_TASK_IMAGES_H_
