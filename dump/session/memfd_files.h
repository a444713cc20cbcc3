#ifndef DUMP_SESSION_MEMFD_FILES_H_
#define DUMP_SESSION_MEMFD_FILES_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/fd/fd_collector.h"
#include "dump/fd/file_table.h"
#include "dump/mm/shared_memory.h"
#include "proto/special_files.pb.h"

namespace dumpctl {

// The memfds of a dump, which descriptors and mappings both refer to.
class MemfdFiles {
 public:
  // Both must outlive the object.
  MemfdFiles(const SharedObjects& objects, FileTable& files) : objects_(objects), files_(files) {}

  // Makes the entries of their descriptors. The object must outlive it.
  FileMaker Maker();

  // The number in files.img of what mappings of this memfd are made from.
  absl::StatusOr<uint32_t> MappedId(uint64_t shmem_id);

  // Of memfd.img.
  std::vector<image::memfd_inode_entry> Inodes() const;

 private:
  absl::StatusOr<MadeFile> Make(const Descriptor& descriptor, uint32_t id, uint32_t flags,
                                const image::fown_entry& owner) const;
  // Numbers the memfds from 1.
  uint32_t InodeId(SharedObjects::const_iterator object) const;

  const SharedObjects& objects_;
  FileTable& files_;
  std::map<uint64_t, uint32_t> mapped_;  // file id by shmem_id
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_MEMFD_FILES_H_
