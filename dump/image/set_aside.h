#ifndef DUMP_IMAGE_SET_ASIDE_H_
#define DUMP_IMAGE_SET_ASIDE_H_

#include <string>

#include "absl/status/status.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// What an earlier dump has in a directory, out of the way until another stands in its place: it can
// be put back up to then, by the next dump too if this one is killed. It stands in a directory in
// the hidden one, by whose name it can be told how far the dump has come: names alone, and no
// bytes, for these a file system may write later than what is renamed. It goes with the hidden
// directory.
class SetAside {
 public:
  // Both outlive this. `hidden` is in `directory`, of the same file system.
  SetAside(BorrowedFd directory, BorrowedFd hidden) : directory_(directory), hidden_(hidden) {}

  // Nothing where there is none of that name. The inventory is to be the first. What cannot be
  // moved though it can be removed is, and then nothing is put back.
  absl::Status Take(const std::string& name);
  // What was taken so far is on the disk, where it stands now; nothing where none was. To be done
  // before the directory that it was in is synced: else it may be nowhere.
  absl::Status Sync() const;
  // All was taken: images that stand in the directory from here on are the new ones, and so is
  // "parent" if they have one. Else that is somebody else's.
  absl::Status End(bool new_parent) const;
  // Of no use any more, whatever is in the directory later.
  static void Drop(BorrowedFd hidden);

  // Puts all back, the inventory the last, for which all else has to be in its place; images of the
  // dump that has not come to its end go into the hidden directory. Nothing where an inventory
  // stands, for then a dump is whole, this one or the earlier. Done again, or by another process,
  // it does what is left. Failure::kImagesDir where something is in the way: then the hidden
  // directory has to stay.
  static absl::Status PutBack(BorrowedFd directory, BorrowedFd hidden);

 private:
  BorrowedFd directory_;
  BorrowedFd hidden_;
  UniqueFd aside_;
  bool removed_ = false;
};

}  // namespace dumpctl

#endif  // DUMP_IMAGE_SET_ASIDE_H_
