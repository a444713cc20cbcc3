#ifndef DUMP_SK_UNIX_SOCKETS_H_
#define DUMP_SK_UNIX_SOCKETS_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/sk/socket_likeness.h"
#include "dump/sk/socket_options.h"
#include "dump/sk/socket_queue.h"
#include "dump/sk/unix_diag.h"
#include "dump/sk/unix_path.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// One unix socket, as it was read while its tasks stood still.
struct UnixSocketFacts {
  // None for a socket of another network namespace than ours.
  std::optional<UnixSocketRow> row;
  SocketOptions options;
  // Of packets, `files` are gone to who holds queued descriptors: `rights` says which they are.
  SocketQueue queue;
  std::vector<std::vector<size_t>> rights;  // by packet: places in the order of Read's results
  UniqueFd bound;                           // to a path: its file (O_PATH), until FindPaths
  bool has_path = false;
  std::optional<BoundPath> path;  // none where its name does not lead to the file
  std::string directory;          // that some task works in which has it
  bool held = false;              // by a task: not only by a queue
};

// The unix sockets of a dump, each once, however many tasks have it.
class UnixSockets {
 public:
  // Reads the socket that `copy` of ours, with this inode, refers to; nothing when it is known.
  // `directory`: the working directory of the task that has it; empty when none has, for it waits
  // in a queue. Those that tasks have come first. Gives copies of the descriptors
  // that wait in its queue: with these the caller does as with those of a task. The kernel is
  // asked for all sockets at the first, when all tasks stand.
  absl::StatusOr<std::vector<UniqueFd>> Read(BorrowedFd copy, ino_t inode,
                                             const std::string& directory, PeekOffsetGuard guard);

  // Sockets that are alike are asked for their options once. To be told before they are read, of
  // the frozen tasks.
  void Know(SocketLikenesses likenesses) { likenesses_.merge(std::move(likenesses)); }

  // Finds where the paths are that they were bound to. When all are read, and before the tasks run
  // again, which may rename and remove them.
  absl::Status FindPaths();

  const std::map<uint32_t, UnixSocketFacts>& sockets() const { return sockets_; }
  // Of which others are alike; 0 where it was not known which are.
  size_t asked_for_others() const { return alike_.size(); }
  // Of the whole network namespace.
  const UnixSocketRows& rows() const { return rows_; }

 private:
  absl::StatusOr<std::optional<UnixSocketRow>> RowOf(uint32_t inode);
  absl::StatusOr<SocketOptions> OptionsOf(BorrowedFd copy, uint32_t inode);

  UnixSocketRows rows_;
  std::map<uint32_t, UnixSocketFacts> sockets_;
  SocketLikenesses likenesses_;
  std::unordered_map<std::string, SocketOptions> alike_;
  size_t queued_ = 0;
};

}  // namespace dumpctl

#endif  // DUMP_SK_UNIX_SOCKETS_H_
