#ifndef PROC_BPF_TERMINAL_QUEUES_H_
#define PROC_BPF_TERMINAL_QUEUES_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// What waits to be read from a terminal, as its line discipline (N_TTY) keeps it: as it will be
// read, but for ends of files.
struct TerminalQueue {
  std::string bytes;
  // Of each byte, whether a line ends with it in canonical mode. Of an end of file it is a 0.
  std::vector<bool> ends;
  // There is more on its way than the line discipline has, or an echo.
  bool more = false;
  // A worker of the kernel's is to bring some of that, and there is room.
  bool arriving = false;

  friend bool operator==(const TerminalQueue&, const TerminalQueue&) = default;
};

// Looks into the queues of terminals without taking anything from them, which no other interface
// does: by a BPF program that the kernel runs for each of our descriptors (iter/task_file).
class BpfTerminalQueues {
 public:
  // Errors: those of LoadBpfIterator, and of Btf where the kernel keeps them in another way.
  static absl::StatusOr<BpfTerminalQueues> Load();

  // Of the terminals among our own descriptors, but virtual consoles and serial lines. What a
  // writer has written just now may not have arrived: poll(2) of the reading end waits for it.
  absl::StatusOr<std::map<int, TerminalQueue>> Read() const;

  // The same when nothing is arriving at these descriptors any more, or 100 ms later: poll(2) does
  // not wait for the rest of what has arrived in part.
  absl::StatusOr<std::map<int, TerminalQueue>> ReadArrived(std::span<const int> awaited) const;

 private:
  BpfTerminalQueues(UniqueFd scratch, UniqueFd program)
      : scratch_(std::move(scratch)), program_(std::move(program)) {}

  UniqueFd scratch_;
  UniqueFd program_;
};

}  // namespace dumpctl

#endif  // PROC_BPF_TERMINAL_QUEUES_H_
