#ifndef DUMP_MM_SHARED_MEMORY_H_
#define DUMP_MM_SHARED_MEMORY_H_

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/mm/memory_source.h"
#include "dump/mm/page_run.h"
#include "dumpctl/unique_fd.h"
#include "proc/vma_list.h"

namespace dumpctl {

// Anonymous memory that processes share (MAP_SHARED): a nameless file of the kernel's tmpfs, whose
// contents are saved once, whoever maps which part of it.
struct SharedObject {
  UniqueFd file;
  std::vector<PageRun> runs;  // what is not a hole; addresses are offsets in the object
  uint64_t pages = 0;
};

// By FileFacts::shmem_id.
using SharedObjects = std::map<uint64_t, SharedObject>;

// `known` and those that `vmas` map besides. Asked while their tasks are frozen: lseek(2) with
// SEEK_DATA tells where pages are, in memory or swapped out, and asks for none.
absl::StatusOr<SharedObjects> FindSharedObjects(const VmaList& vmas, SharedObjects known = {});

// The contents of one, by pread(2).
class SharedObjectMemory final : public MemorySource {
 public:
  explicit SharedObjectMemory(BorrowedFd file) : file_(file) {}

  absl::Status Read(std::span<const PageRun> runs, std::span<std::byte> bytes) const override;

 private:
  BorrowedFd file_;
};

}  // namespace dumpctl

#endif  // DUMP_MM_SHARED_MEMORY_H_
