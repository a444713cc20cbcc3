#include "dump/fd/file_refusal.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

#include <algorithm>

namespace dumpctl {
namespace {

// Devices of Documentation/admin-guide/devices.txt.
constexpr unsigned kMemoryMajor = 1;
constexpr unsigned kMemoryMinors[] = {3, 5, 7, 8, 9};  // null, zero, full, random, urandom

// Event descriptors that are dumped, by the whole text of the link.
struct EventType {
  std::string_view link;
  std::string_view name;
  FileKind kind;
};

constexpr EventType kEventTypes[] = {
    {"anon_inode:[eventfd]", "eventfd", FileKind::kEventfd},
    {"anon_inode:[timerfd]", "timerfd", FileKind::kTimerfd},
    {"anon_inode:[signalfd]", "signalfd", FileKind::kSignalfd},
    {"anon_inode:[eventpoll]", "epoll", FileKind::kEpoll},
    {"anon_inode:inotify", "inotify", FileKind::kInotify},
    {"anon_inode:[fanotify]", "fanotify", FileKind::kFanotify},
    {"anon_inode:[pidfd]", "pidfd", FileKind::kPidfd},
};

struct LinkType {
  std::string_view prefix;
  std::string_view name;
  WhyNot why_not;
};

constexpr std::string_view kClose = "let the program close it";

// By the text of the link, longest prefix first.
constexpr LinkType kLinkTypes[] = {
    {"socket:", "socket", {"sockets of its family are not saved by this version", kClose}},
    {"anon_inode:[io_uring]",
     "io_uring",
     {"the kernel does not show the state of an io_uring", "run the program without io_uring"}},
    {"anon_inode:[userfaultfd]",
     "userfaultfd",
     {"the kernel does not show the state of a userfaultfd", kClose}},
    {"anon_inode:[perf_event]",
     "perf event",
     {"perf events live in the kernel", "end the profiling"}},
    {"anon_inode:bpf", "BPF object", {"no restore by stock criu brings back BPF objects", kClose}},
    {"anon_inode:", "anonymous inode", {"it is a kernel object that cannot be put back", kClose}},
};

constexpr WhyNot kDevice = {
    "only its driver knows the state of a device",
    "let the program close it, or give the restore one: --external file[MNT_ID:INODE]"};
constexpr WhyNot kUnknown = {"this version does not know such descriptors", kClose};
constexpr WhyNot kOpath = {"no restore can have an O_PATH descriptor of what has no name", kClose};

const LinkType* LinkTypeOf(std::string_view link) {
  const auto it = std::find_if(std::begin(kLinkTypes), std::end(kLinkTypes),
                               [link](const LinkType& t) { return link.starts_with(t.prefix); });
  return it == std::end(kLinkTypes) ? nullptr : it;
}

// Whether the name of its protocol begins so: "UNIX" is "UNIX-STREAM" too, since Linux 5.15.
bool IsSocketOf(std::string_view link, std::string_view protocol) {
  if (!link.starts_with("socket:")) return false;
  const size_t at = link.find('(');
  return at != std::string_view::npos && link.substr(at + 1).starts_with(protocol);
}

// They never had a name. A file of a mount that was called so has lost it, and is found out by who
// looks at its file system (IsMemfd).
bool IsNamedLikeMemfd(const struct stat& stat, std::string_view link) {
  return S_ISREG(stat.st_mode) && stat.st_nlink == 0 && link.starts_with("/memfd:");
}

// "TCP", "TCPv6", "UDP", "UDPv6", "UDP-Lite", "UDPLITEv6", "RAW", "RAWv6".
bool IsInetSocket(std::string_view link) {
  return IsSocketOf(link, "TCP") || IsSocketOf(link, "UDP") || IsSocketOf(link, "RAW");
}

// "net:[4026531840]"
bool IsNamespace(std::string_view link) {
  constexpr std::string_view kKinds[] = {"mnt", "net",  "pid",    "ipc",
                                         "uts", "user", "cgroup", "time"};
  const std::string_view kind = link.substr(0, link.find(":["));
  return kind.size() < link.size() &&
         std::find(std::begin(kKinds), std::end(kKinds), kind) != std::end(kKinds);
}

const EventType* EventTypeOf(std::string_view link) {
  const auto it = std::find_if(std::begin(kEventTypes), std::end(kEventTypes),
                               [link](const EventType& t) { return link == t.link; });
  return it == std::end(kEventTypes) ? nullptr : it;
}

bool IsMemoryDevice(const struct stat& stat) {
  return S_ISCHR(stat.st_mode) && major(stat.st_rdev) == kMemoryMajor &&
         std::find(std::begin(kMemoryMinors), std::end(kMemoryMinors), minor(stat.st_rdev)) !=
             std::end(kMemoryMinors);
}

bool IsTerminal(const struct stat& stat) {
  if (!S_ISCHR(stat.st_mode)) return false;
  // Virtual consoles and serial lines, /dev/tty and /dev/console and ptmx, Unix98 slaves; legacy
  // BSD masters and slaves.
  const unsigned device = major(stat.st_rdev);
  return (device >= 2 && device <= 5) || (device >= 136 && device <= 143);
}

}  // namespace

FileKind FileKindOf(const struct stat& stat, std::string_view link, uint32_t flags) {
  // Most have one, and are none of what others are known by.
  const bool has_path = link.starts_with('/');
  if (!has_path && IsNamespace(link)) return FileKind::kNamespace;
  if ((flags & O_PATH) != 0) {
    return has_path && !IsNamedLikeMemfd(stat, link) ? FileKind::kPath : FileKind::kOther;
  }
  if (S_ISFIFO(stat.st_mode)) return has_path ? FileKind::kFifo : FileKind::kPipe;
  if (IsNamedLikeMemfd(stat, link)) return FileKind::kMemfd;
  if (!has_path) {
    if (const EventType* type = EventTypeOf(link)) return type->kind;
    if (IsSocketOf(link, "UNIX")) return FileKind::kUnixSocket;
    if (IsInetSocket(link)) return FileKind::kInetSocket;
    if (IsSocketOf(link, "NETLINK")) return FileKind::kNetlinkSocket;
    if (IsSocketOf(link, "PACKET")) return FileKind::kPacketSocket;
    if (LinkTypeOf(link) != nullptr) return FileKind::kOther;
  }
  if (S_ISREG(stat.st_mode)) return FileKind::kRegular;
  if (S_ISDIR(stat.st_mode)) return FileKind::kDirectory;
  if (IsMemoryDevice(stat)) return FileKind::kMemoryDevice;
  if (IsTerminal(stat)) return FileKind::kTerminal;
  return FileKind::kOther;
}

bool HasName(FileKind kind) {
  return kind == FileKind::kRegular || kind == FileKind::kDirectory ||
         kind == FileKind::kMemoryDevice || kind == FileKind::kFifo || kind == FileKind::kPath;
}

std::string_view FileTypeName(const struct stat& stat, std::string_view link) {
  switch (FileKindOf(stat, link, 0)) {
    case FileKind::kRegular:
      return "regular file";
    case FileKind::kDirectory:
      return "directory";
    case FileKind::kMemoryDevice:
      return "memory device";
    case FileKind::kPipe:
      return "pipe";
    case FileKind::kFifo:
      return "fifo";
    case FileKind::kNamespace:
      return "namespace";
    case FileKind::kMemfd:
      return "memfd";
    case FileKind::kTerminal:
      return "terminal";
    default:
      break;
  }
  if (const EventType* type = EventTypeOf(link)) return type->name;
  if (const LinkType* type = LinkTypeOf(link)) return type->name;
  if (S_ISCHR(stat.st_mode)) return "character device";
  if (S_ISBLK(stat.st_mode)) return "block device";
  if (S_ISLNK(stat.st_mode)) return "symbolic link";
  if (S_ISSOCK(stat.st_mode)) return "socket's name";
  return "unknown";
}

std::optional<WhyNot> WhyNotDumpable(const struct stat& stat, std::string_view link,
                                     const FdInfo& info) {
  const FileKind kind = FileKindOf(stat, link, info.flags);
  if (kind == FileKind::kOther) {
    if ((info.flags & O_PATH) != 0) return kOpath;
    if (const LinkType* type = LinkTypeOf(link)) return type->why_not;
    if (S_ISCHR(stat.st_mode) || S_ISBLK(stat.st_mode)) return kDevice;
    return kUnknown;
  }
  return std::nullopt;
}

}  // namespace dumpctl
