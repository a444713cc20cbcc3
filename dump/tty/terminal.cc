#include "dump/tty/terminal.h"

#include <poll.h>
#include <sys/sysmacros.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

constexpr unsigned kConsoleMajor = 4;  // virtual consoles, and serial lines above them
constexpr unsigned kLastVirtualConsole = 63;
constexpr unsigned kAlternateMajor = 5;  // /dev/tty, /dev/console, /dev/ptmx
constexpr unsigned kFirstSlaveMajor = 136;
constexpr unsigned kLastSlaveMajor = 143;

// One of ioctl_tty(2)'s that fill something in.
template <typename T>
absl::StatusOr<T> Ask(BorrowedFd file, unsigned long request, const char* name) {
  T answer = {};
  if (ioctl(file.get(), request, &answer) == 0) return answer;
  return absl::ErrnoToStatus(errno, absl::StrCat(name, " of a terminal"));
}

uint32_t MinorOf(uint32_t device) { return (device & 0xff) | (device >> 12 & ~0xffu); }

absl::Status ReadMaster(BorrowedFd file, TerminalFacts& facts) {
  ASSIGN_OR_RETURN(facts.number, Ask<uint32_t>(file, TIOCGPTN, "TIOCGPTN"));
  ASSIGN_OR_RETURN(const int locked, Ask<int>(file, TIOCGPTLCK, "TIOCGPTLCK"));
  facts.locked = locked != 0;
  ASSIGN_OR_RETURN(const int packet_mode, Ask<int>(file, TIOCGPKT, "TIOCGPKT"));
  facts.packet_mode = packet_mode != 0;
  // Of a slave only who is controlled by it is told. A master sees it from everywhere.
  if (ioctl(file.get(), TIOCGSID, &facts.session) < 0) {
    if (errno == ENOTTY) return absl::OkStatus();  // it controls none
    return absl::ErrnoToStatus(errno, "TIOCGSID of a terminal");
  }
  ASSIGN_OR_RETURN(facts.group, Ask<pid_t>(file, TIOCGPGRP, "TIOCGPGRP"));
  return absl::OkStatus();
}

absl::Status ReadWaiting(BorrowedFd file, TerminalFacts& facts) {
  // poll(2) hands on what is on its way from the other end before it answers.
  pollfd poll_fd = {.fd = file.get(), .events = POLLIN | POLLPRI, .revents = 0};
  if (poll(&poll_fd, 1, 0) < 0) return absl::ErrnoToStatus(errno, "poll of a terminal");
  facts.readable = (poll_fd.revents & POLLIN) != 0;
  facts.packet_status = (poll_fd.revents & POLLPRI) != 0;
  facts.slave_closed = facts.kind == TerminalKind::kMaster && (poll_fd.revents & POLLHUP) != 0;
  ASSIGN_OR_RETURN(facts.bytes, Ask<int>(file, TIOCINQ, "TIOCINQ"));
  return absl::OkStatus();
}

}  // namespace

TerminalKind TerminalKindOf(dev_t rdev) {
  if (major(rdev) >= kFirstSlaveMajor && major(rdev) <= kLastSlaveMajor) {
    return TerminalKind::kSlave;
  }
  if (major(rdev) == kConsoleMajor && minor(rdev) >= 1 && minor(rdev) <= kLastVirtualConsole) {
    return TerminalKind::kVirtualConsole;
  }
  if (major(rdev) != kAlternateMajor) return TerminalKind::kOther;
  switch (minor(rdev)) {
    case 0:
      return TerminalKind::kControlling;
    case 1:
      return TerminalKind::kConsole;
    case 2:
      return TerminalKind::kMaster;
    default:
      return TerminalKind::kOther;
  }
}

uint32_t TerminalDevice(dev_t rdev) {
  return (minor(rdev) & 0xff) | major(rdev) << 8 | (minor(rdev) & ~0xffu) << 12;
}

uint32_t SlaveDevice(uint32_t number) { return TerminalDevice(makedev(kFirstSlaveMajor, number)); }

absl::StatusOr<TerminalFacts> ReadTerminal(BorrowedFd file) {
  TerminalFacts facts;
  if (fstat(file.get(), &facts.stat) < 0) return absl::ErrnoToStatus(errno, "fstat of a terminal");
  facts.read = true;
  facts.kind = TerminalKindOf(facts.stat.st_rdev);
  if (facts.kind == TerminalKind::kSlave) {
    facts.number = minor(facts.stat.st_rdev);
  }
  if (ioctl(file.get(), TCGETS2, &facts.settings) < 0) {
    if (errno != EIO) return absl::ErrnoToStatus(errno, "TCGETS2 of a terminal");
    facts.hung_up = true;
    return facts;
  }
  ASSIGN_OR_RETURN(facts.locked_settings, Ask<termios>(file, TIOCGLCKTRMIOS, "TIOCGLCKTRMIOS"));
  ASSIGN_OR_RETURN(facts.size, Ask<winsize>(file, TIOCGWINSZ, "TIOCGWINSZ"));
  ASSIGN_OR_RETURN(facts.device, Ask<uint32_t>(file, TIOCGDEV, "TIOCGDEV"));
  if (facts.kind == TerminalKind::kControlling) facts.number = MinorOf(facts.device);
  ASSIGN_OR_RETURN(const int exclusive, Ask<int>(file, TIOCGEXCL, "TIOCGEXCL"));
  facts.exclusive = exclusive != 0;
  if (facts.kind == TerminalKind::kMaster) RETURN_IF_ERROR(ReadMaster(file, facts));
  RETURN_IF_ERROR(ReadWaiting(file, facts));
  return facts;
}

}  // namespace dumpctl
