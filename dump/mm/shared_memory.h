#ifndef DUMP_MM_SHARED_MEMORY_H_
#define DUMP_MM_SHARED_MEMORY_H_

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/image/page_run.h"
#include "dump/mm/memory_source.h"
#include "dumpctl/resource_refusal.h"
#include "dumpctl/unique_fd.h"
#include "proc/vma_list.h"

namespace dumpctl {

// What memfd_create(2) made, as it was when its tasks were frozen.
struct MemfdFacts {
  std::string name;                         // without the "/memfd:" that the kernel shows before it
  struct stat stat = {};                    // owner, mode, size
  uint32_t seals = 0;                       // F_GET_SEALS
  std::optional<uint32_t> huge_page_shift;  // of MFD_HUGETLB: 21 for pages of 2 MiB
};

// Memory that processes share without a file of any mount: what is mapped MAP_SHARED and
// MAP_ANONYMOUS, a memfd, or a SysV segment. Each is a file of the kernel's tmpfs, or of its
// hugetlbfs, whose contents are saved once, whoever maps which part of it or has a descriptor of
// it.
struct SharedObject {
  UniqueFd file;
  bool sysv = false;  // shmget(2): its number is its shmid
  std::optional<MemfdFacts> memfd;
  std::vector<PageRun> runs;  // what is not a hole; addresses are offsets in the object
  uint64_t pages = 0;
};

// By FileFacts::shmem_id, the inode's number.
using SharedObjects = std::map<uint64_t, SharedObject>;

// `known` and those that `vmas` map besides. Asked while their tasks are frozen: lseek(2) with
// SEEK_DATA tells where pages are, in memory or swapped out, and asks for none.
absl::StatusOr<SharedObjects> FindSharedObjects(const VmaList& vmas, SharedObjects known = {});

// Whether the file of such a descriptor is a memfd: `link` is what its link says, `kernel_tmpfs`
// KernelTmpfsDevice().
bool IsMemfd(const struct stat& stat, std::string_view link, dev_t kernel_tmpfs);

// Why what is named like one, and is none, cannot be dumped.
WhyNot WhyNotMemfd();

// `known` and the memfd that `file` is a descriptor of, however it was opened.
absl::StatusOr<SharedObjects> AddMemfd(BorrowedFd file, std::string_view link, SharedObjects known);

// The contents of one, by pread(2). What a last page has beyond the size reads as zeros.
class SharedObjectMemory final : public MemorySource {
 public:
  explicit SharedObjectMemory(BorrowedFd file) : file_(file) {}

  absl::Status Read(std::span<const PageRun> runs, std::span<std::byte> bytes) const override;

 private:
  BorrowedFd file_;
};

}  // namespace dumpctl

#endif  // DUMP_MM_SHARED_MEMORY_H_
