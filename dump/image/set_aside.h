#ifndef DUMP_IMAGE_SET_ASIDE_H_
#define DUMP_IMAGE_SET_ASIDE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// What an earlier dump has in a directory, out of the way until another stands in its place: it can
// be put back up to then. It goes with the hidden directory.
class SetAside {
 public:
  // Both outlive this. `hidden` is in `directory`, of the same file system.
  SetAside(BorrowedFd directory, BorrowedFd hidden) : directory_(directory), hidden_(hidden) {}

  // Nothing where there is none of that name. What cannot be moved though it can be removed is, and
  // then nothing is put back.
  absl::Status Take(const std::string& name);
  // All that it can, and what was taken first the last: the inventory, for which all else has to be
  // in its place. `sync`: on the disk as well.
  void PutBack(bool sync);

 private:
  BorrowedFd directory_;
  BorrowedFd hidden_;
  std::vector<std::string> taken_;
};

}  // namespace dumpctl

#endif  // DUMP_IMAGE_SET_ASIDE_H_
