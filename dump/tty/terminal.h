#ifndef DUMP_TTY_TERMINAL_H_
#define DUMP_TTY_TERMINAL_H_

#include <asm/termbits.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"
#include "proc/bpf_terminal_queues.h"

namespace dumpctl {

// What a file of a terminal is opened by (devices.txt of the kernel's admin-guide).
enum class TerminalKind {
  kMaster,          // of a pseudo-terminal: /dev/ptmx, /dev/pts/ptmx
  kSlave,           // of one: /dev/pts/N
  kControlling,     // /dev/tty: whichever controls who opens it
  kConsole,         // /dev/console
  kVirtualConsole,  // /dev/tty1 and on
  kOther,           // serial lines, /dev/tty0, the pseudo-terminals of BSD
};

// `rdev` is the device number of a terminal's file. Pure.
TerminalKind TerminalKindOf(dev_t rdev);

// A device number as /proc/PID/stat tells it of controlling terminals, and TIOCGDEV of open ones.
uint32_t TerminalDevice(dev_t rdev);
// That of the slave of a pseudo-terminal.
uint32_t SlaveDevice(uint32_t number);

// What one open file of a terminal tells (ioctl_tty(2)). Nothing of the terminal changes by it.
struct TerminalFacts {
  TerminalKind kind = TerminalKind::kOther;
  struct stat stat = {};
  uint32_t number = 0;  // of a pseudo-terminal, even of one that /dev/tty stands for
  // Of an open file of /dev/tty: the lowest of its holders' pids, whom a restore has open it;
  // kNobody: it is in no task's table.
  pid_t opener = 0;
  // False where no more is known than procfs tells of running tasks: kind, number, device, hang-up.
  bool read = false;
  // The other end is gone, or somebody has hung it up (vhangup(2)): nothing below is known.
  bool hung_up = false;

  // The terminal that is spoken to, by TerminalDevice: of a master its slave, of /dev/tty what that
  // stands for.
  uint32_t device = 0;
  termios2 settings = {};
  termios locked_settings = {};  // TIOCGLCKTRMIOS
  winsize size = {};
  bool exclusive = false;

  // Of masters alone.
  bool locked = false;  // its slave cannot be opened yet
  bool packet_mode = false;
  bool packet_status = false;  // something has happened there that its reader has not been told
  bool slave_closed = false;   // it was open, and nobody has it any more
  pid_t session = 0;           // that it controls; 0: none that we see
  pid_t group = 0;             // in the foreground of that

  // What waits to be read; lines that are not ended yet do not count.
  bool readable = false;
  int bytes = 0;
  // The same with all that it is; none where it was not looked into.
  std::optional<TerminalQueue> queue;
};

inline constexpr pid_t kNobody = -1;

// `file` is a descriptor of ours of a terminal. While its tasks run it may be hung up, or be given
// away, between two questions: then it is an error.
absl::StatusOr<TerminalFacts> ReadTerminal(BorrowedFd file);

}  // namespace dumpctl

#endif  // DUMP_TTY_TERMINAL_H_
