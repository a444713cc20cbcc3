#ifndef DUMP_FD_FD_COLLECTOR_H_
#define DUMP_FD_FD_COLLECTOR_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/fd/descriptor.h"
#include "dump/fd/file_table.h"
#include "dump/fd/pipe_contents.h"
#include "proto/files.pb.h"

namespace dumpctl {

// The pipes and fifos among `descriptors` with what stands in them, by inode. Asked while the task
// is frozen.
absl::StatusOr<std::map<ino_t, TeedPipe>> TeePipes(const std::vector<Descriptor>& descriptors);

// A pipe's image entry and its payload.
struct PipeData {
  image::pipe_data_entry entry;
  std::string bytes;
};

struct CollectedFds {
  std::vector<image::fdinfo_entry> fdinfo;  // by number
  std::vector<PipeData> pipes;
  std::vector<PipeData> fifos;
};

// Turns what was read of a frozen task into entries; the files go into `files`, and so do refusals.
// The task may run again by now, or be dead: `links` were taken from the copies.
absl::StatusOr<CollectedFds> CollectFds(pid_t pid, const std::vector<Descriptor>& descriptors,
                                        const std::map<ino_t, TeedPipe>& pipes,
                                        bool with_dupfd_query, FileTable& files);

// All that cannot be dumped among descriptors that were peeked at while the task runs.
absl::StatusOr<ResourceRefusals> RefuseDescriptors(pid_t pid, const ProcDir& task,
                                                   const std::vector<Descriptor>& descriptors);

}  // namespace dumpctl

#endif  // DUMP_FD_FD_COLLECTOR_H_
