#ifndef DUMP_CLI_CGROUP_FLAGS_H_
#define DUMP_CLI_CGROUP_FLAGS_H_

#include "dump/cg/cgroup_options.h"
#include "dump/cli/sifted_options.h"

namespace dumpctl {

// The options that say what of cgroups is saved, spelled as in criu(8). `options` must outlive the
// command.
void AddCgroupOptions(SiftedCommand& command, CgroupOptions& options);

}  // namespace dumpctl

#endif  // DUMP_CLI_CGROUP_FLAGS_H_
