#ifndef DUMP_IMAGE_DIRECTORY_ENTRIES_H_
#define DUMP_IMAGE_DIRECTORY_ENTRIES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// All but "." and "..".
absl::StatusOr<std::vector<std::string>> NamesIn(BorrowedFd directory);

// Parent images alone, as they come and go with a dump, and parent images of these in a directory
// of their own. With an inventory they would be somebody's dump, or pre-dump; and a lock (flock(2))
// tells of somebody who reads or writes there. Keeps it locked until the descriptor is closed.
bool HoldsParentImages(BorrowedFd directory);

// A directory in `directory` with all that is in it, as far as it can be removed. Never through a
// link: somebody may have put one there that leads to files not ours.
void RemoveDirectory(BorrowedFd directory, const char* name);

}  // namespace dumpctl

#endif  // DUMP_IMAGE_DIRECTORY_ENTRIES_H_
