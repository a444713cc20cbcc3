#ifndef DUMP_FD_FD_COLLECTOR_H_
#define DUMP_FD_FD_COLLECTOR_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "dump/fd/descriptor.h"
#include "dump/fd/file_locks.h"
#include "dump/fd/file_refusal.h"
#include "dump/fd/file_table.h"
#include "dump/fd/open_file.h"
#include "dump/fd/pipe_contents.h"
#include "dump/fd/watched_files.h"
#include "proc/fdinfo_parser.h"
#include "proc/proc_fs.h"
#include "proto/files.pb.h"

namespace dumpctl {

// Pipes and fifos with what stands in them, by inode.
using TeedPipes = std::map<ino_t, TeedPipe>;

// `known` and those among `descriptors` besides. Asked while the task is frozen.
absl::StatusOr<TeedPipes> TeePipes(const std::vector<Descriptor>& descriptors,
                                   TeedPipes known = {});

// A pipe's image entry and its payload.
struct PipeData {
  image::pipe_data_entry entry;
  std::string bytes;
};

// Makes the entry of a file that another room knows, or says why there is none. `flags` without
// O_CLOEXEC.
using MadeFile = std::variant<image::file_entry, WhyNotText>;
using FileMaker = std::function<absl::StatusOr<MadeFile>(
    const Descriptor& descriptor, uint32_t id, uint32_t flags, const image::fown_entry& owner)>;

// Turns what was read of frozen tasks into entries; the files go into `files`, and so do refusals.
// An open file that several tasks have (fork(2), SCM_RIGHTS) is one entry. The tasks may run again
// by now, or be dead: what has a name in a file system has its link told then (Descriptor::link),
// and links of the rest are taken from the copies, which have to stay.
class FdCollector {
 public:
  // All arguments must outlive the object. `with_dupfd_query`: see OpenFileIndex.
  static absl::StatusOr<FdCollector> Create(const TeedPipes& pipes, bool with_dupfd_query,
                                            WatchedFiles& watched, FileTable& files);

  // Files of that kind are made by `maker`. Before the first is collected.
  void MakeBy(FileKind kind, FileMaker maker) { makers_[kind] = std::move(maker); }

  // The entries of one descriptor table, by number; `pid` is whose refusals name.
  absl::StatusOr<std::vector<image::fdinfo_entry>> Collect(
      pid_t pid, const std::vector<Descriptor>& descriptors);

  // The numbers in `files` of what waits in the queues of sockets; of what is refused, 0.
  absl::StatusOr<std::vector<uint32_t>> CollectQueued(pid_t pid,
                                                      const std::vector<Descriptor>& descriptors);

  // What stands in the pipes and fifos that were met.
  const std::vector<PipeData>& pipes() const { return pipe_data_; }
  const std::vector<PipeData>& fifos() const { return fifo_data_; }
  // The locks that were met.
  const FileLocks& locks() const { return locks_; }

 private:
  FdCollector(ProcDir self, const TeedPipes& pipes, bool with_dupfd_query, WatchedFiles& watched,
              FileTable& files)
      : self_(std::move(self)),
        pipes_(pipes),
        copies_(with_dupfd_query),
        watched_(watched),
        files_(files) {}

  // Its entry to the others, none when it is refused.
  absl::Status Add(const Descriptor& descriptor, std::vector<image::fdinfo_entry>& entries);
  absl::StatusOr<uint32_t> FileIdOf(const Descriptor& descriptor, FileKind kind, const FdInfo& info,
                                    const std::string& link);
  absl::StatusOr<uint32_t> AddFile(const Descriptor& descriptor, FileKind kind, const FdInfo& info,
                                   uint32_t flags, const std::string& link);
  // None when it is refused.
  absl::StatusOr<std::optional<image::file_entry>> Make(const Descriptor& descriptor, uint32_t id,
                                                        uint32_t flags, const std::string& link);
  absl::Status AddContents(const Descriptor& descriptor, uint32_t flags, const std::string& link,
                           std::vector<PipeData>& list);

  ProcDir self_;
  const TeedPipes& pipes_;
  OpenFileIndex copies_;  // where there is no index of the tasks' own
  WatchedFiles& watched_;
  FileTable& files_;
  pid_t pid_ = 0;
  std::vector<PipeData> pipe_data_;
  std::vector<PipeData> fifo_data_;
  FileLocks locks_;
  std::map<FileKind, FileMaker> makers_;
  absl::flat_hash_map<uint32_t, uint32_t> ids_;  // of open files, by their number in the index
  std::set<ino_t> written_;
};

// All that cannot be dumped among descriptors that were peeked at while the task runs.
absl::StatusOr<ResourceRefusals> RefuseDescriptors(pid_t pid,
                                                   const std::vector<Descriptor>& descriptors,
                                                   const FileRules& rules);

}  // namespace dumpctl

#endif  // DUMP_FD_FD_COLLECTOR_H_
