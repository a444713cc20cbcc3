#ifndef PROC_MAPPED_FILE_CACHE_H_
#define PROC_MAPPED_FILE_CACHE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "dumpctl/file_identity.h"
#include "dumpctl/unique_fd.h"
#include "dumpctl/vma.h"

namespace dumpctl {

// Every file that the tasks of one dump map, so that each is opened once: for the same file mapped
// in two places of a task with others in between, and for the libraries that all tasks of a tree
// map. Owns no descriptor: it lends those that VmaLists own, and forgets a list's when that list is
// closed. Not thread-safe.
//
// dev:ino may coincide across mount namespaces without the file being the same: before Linux 6.8
// overlayfs shows the lower layer's inode, which two containers from one image share, and a mount
// id means something in its own namespace only. So each namespace keeps its own entries. SysV
// segments are never kept: their numbers repeat in every ipc namespace.
class MappedFileCache {
 public:
  struct Loan {
    BorrowedFd fd;
    std::shared_ptr<const FileFacts> facts;
  };

  // `mount_namespace` is the inode number of the task's /proc/PID/ns/mnt.
  std::optional<Loan> Find(const Mapping& mapping, uint64_t mount_namespace) const;

  // Offers a descriptor that stays open as long as `lender` lives. Replaces what was known of a
  // file of the same identity.
  void Offer(const Mapping& mapping, uint64_t mount_namespace, Loan loan,
             const std::shared_ptr<const void>& lender);

 private:
  using Key = std::pair<FileIdentity, uint64_t>;
  struct Entry {
    std::string name;
    bool deleted;
    Loan loan;
    std::weak_ptr<const void> lender;
  };
  absl::flat_hash_map<Key, Entry> entries_;
};

}  // namespace dumpctl

#endif  // PROC_MAPPED_FILE_CACHE_H_
