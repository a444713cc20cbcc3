#ifndef PROC_MAP_FILE_OPENER_H_
#define PROC_MAP_FILE_OPENER_H_

#include <sys/types.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"
#include "dumpctl/vma.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// A mapped file, freshly opened, and what it told about itself.
struct OpenedMapFile {
  UniqueFd fd;  // none where the kernel does not let the file be opened (then there are only facts)
  FileFacts facts;
};

// System calls spent under map_files.
struct OpenCounts {
  uint64_t opens = 0;
  uint64_t stats = 0;  // of files and, rarely, file systems
  uint64_t links = 0;  // readlink(2)

  friend OpenCounts operator+(const OpenCounts& a, const OpenCounts& b) {
    return {a.opens + b.opens, a.stats + b.stats, a.links + b.links};
  }
  friend bool operator==(const OpenCounts&, const OpenCounts&) = default;
};

// Opens the files behind one task's mappings. Not thread-safe.
class MapFileOpener {
 public:
  virtual ~MapFileOpener() = default;

  // Errors: NotFound when the mapping or the task is gone, PermissionDenied naming the capability.
  virtual absl::StatusOr<OpenedMapFile> Open(const Mapping& mapping) = 0;

  const OpenCounts& counts() const { return counts_; }

 protected:
  OpenCounts counts_;
};

// The device of the kernel's internal tmpfs, where anonymous shared memory, memfds and SysV
// segments live. It differs between boots, and no file system that can be mounted ever has it. One
// a dump.
absl::StatusOr<dev_t> KernelTmpfsDevice();

// Opens /proc/PID/map_files/START-END (proc_pid_map_files(5); CAP_CHECKPOINT_RESTORE since
// Linux 5.9, CAP_SYS_ADMIN before).
//
// The descriptors are O_PATH ones: they pin the file and can be stat-ed, linked to and reopened,
// but opening runs nothing of the file. A plain open would call a device's driver, break leases,
// wake the inotify watches of the very tasks being dumped, and fails with ENXIO for sockets (packet
// rings) and other inodes without an open of their own.
class ProcMapFileOpener final : public MapFileOpener {
 public:
  // `task` must outlive this.
  ProcMapFileOpener(const ProcDir& task, dev_t kernel_tmpfs)
      : task_(task), kernel_tmpfs_(kernel_tmpfs) {}

  absl::StatusOr<OpenedMapFile> Open(const Mapping& mapping) override;

 private:
  absl::Status LearnStat(const UniqueFd& file, FileFacts& facts);
  absl::Status LearnPath(const Mapping& mapping, FileFacts& facts);
  // Whether a name printed with " (deleted)" is really the name of a living file called so.
  bool IsLivingName(const Mapping& mapping, const FileFacts& facts);
  absl::Status LearnMemory(const Mapping& mapping, const UniqueFd& file, FileFacts& facts);

  const ProcDir& task_;
  dev_t kernel_tmpfs_;
};

}  // namespace dumpctl

#endif  // PROC_MAP_FILE_OPENER_H_
