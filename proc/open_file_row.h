#ifndef PROC_OPEN_FILE_ROW_H_
#define PROC_OPEN_FILE_ROW_H_

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "proc/fdinfo_parser.h"
#include "proc/kernel_file.h"

namespace dumpctl {

// A descriptor of a task, as the kernel keeps it.
struct OpenFileRow {
  int number = 0;
  // The same for all descriptors of one open file, of whatever task, and for no other one.
  uint64_t open_file = 0;
  uint64_t inode = 0;
  // The head of its fdinfo (proc_pid_fdinfo(5)), and the lines that stand below it, but of sockets,
  // whose counts do not matter. None where fdinfo says what the kernel keeps elsewhere: of other
  // kernel objects than eventfds and timerfds, and of locks.
  std::optional<FdInfo> info;
  std::string more;
  // Somebody may get its signals (F_SETOWN), or other ones than SIGIO (F_SETSIG).
  bool may_be_owned = false;
  // What the descriptor's link says to us, and of a socket its protocol behind: see DescriptorLink.
  // None where that is too long.
  std::optional<std::string> link;
  // What stat(2) says, but for times and blocks, of what has no path: a pipe, a socket, or a kernel
  // object (anon_inode). Of others none, for their file systems have to be asked.
  std::optional<struct stat> stat;
  // The same as the kernel keeps it of any file, with its blocks, and without what a device is.
  // Their file systems may tell it otherwise.
  struct stat kept = {};
  // Bytes that a pipe may hold (F_GETPIPE_SZ) which holds none.
  std::optional<uint32_t> empty_pipe;
  // Nothing else has to be read of it: all is said by `record`, and again as long as that is the
  // same. Not where `kept` is not what stat(2) says.
  bool says_all = false;
  std::string record;  // LastingPart; only where it says all
};

// `tai_offset`: how far CLOCK_TAI is ahead of CLOCK_REALTIME.
OpenFileRow RowOf(const KernelFile& file, absl::Duration tai_offset);

}  // namespace dumpctl

#endif  // PROC_OPEN_FILE_ROW_H_
