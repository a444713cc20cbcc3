#ifndef DUMP_IMAGE_UNFINISHED_MARK_H_
#define DUMP_IMAGE_UNFINISHED_MARK_H_

#include <string_view>
#include <utility>

#include "dumpctl/unique_fd.h"

namespace dumpctl {

// A hidden file in a directory where images are written in place. It notes which files were
// created, by what no other file has: the inode number together with the time of birth (statx(2),
// Linux 4.11). When their dump was killed, the next one removes these and nothing else: not what
// has taken the name, or the inode number, of one of them since, and nothing where an inventory
// stands. In the end it becomes the inventory itself, which is cheaper than to create and remove
// another.
//
// Left behind are those of which a file system tells no time of birth, one that was created in the
// instant of the kill, and all where that came between Become and the move of the inventory.
class UnfinishedMark {
 public:
  static constexpr char kName[] = ".dumpctl-unfinished";

  // 0 or an errno: EEXIST where there is one.
  static std::pair<UnfinishedMark, int> Create(BorrowedFd directory);
  // Of a dump that was killed: what it has left, and its mark.
  static void CleanUp(BorrowedFd directory);

  // Notes a file that was just created in the directory. One that cannot be noted may be left.
  void Add(BorrowedFd file) const;
  // Has these bytes and no notes any more; `sync`: on the disk. 0 or an errno.
  int Become(std::string_view inventory, bool sync) const;

 private:
  explicit UnfinishedMark(UniqueFd file) : file_(std::move(file)) {}

  UniqueFd file_;
};

}  // namespace dumpctl

#endif  // DUMP_IMAGE_UNFINISHED_MARK_H_
