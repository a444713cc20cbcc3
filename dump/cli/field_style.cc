#include "dump/cli/field_style.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include <span>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dump/mm/vma_status.h"

namespace dumpctl {
namespace {

struct Flag {
  uint64_t bit;
  const char* name;
};

std::string Hex(uint64_t value) { return absl::StrFormat("0x%x", value); }
std::string Octal(uint64_t value) { return absl::StrFormat("0%o", value); }

// "shared|anonymous|0x80000", what has no name in hex; `none` for 0.
std::string Names(uint64_t value, std::span<const Flag> flags, const char* none) {
  std::string text;
  for (const Flag& flag : flags) {
    if (flag.bit == 0 || (value & flag.bit) != flag.bit) continue;
    absl::StrAppend(&text, text.empty() ? "" : "|", flag.name);
    value &= ~flag.bit;
  }
  if (value != 0) absl::StrAppend(&text, text.empty() ? "" : "|", Hex(value));
  return text.empty() ? none : text;
}

std::string Protection(uint64_t value) {
  std::string text = "---";
  if ((value & PROT_READ) != 0) text[0] = 'r';
  if ((value & PROT_WRITE) != 0) text[1] = 'w';
  if ((value & PROT_EXEC) != 0) text[2] = 'x';
  const uint64_t rest = value & ~uint64_t{PROT_READ | PROT_WRITE | PROT_EXEC};
  if (rest != 0) absl::StrAppend(&text, "|", Hex(rest));
  return text;
}

std::string MapFlags(uint64_t value) {
  constexpr Flag kFlags[] = {{MAP_SHARED_VALIDATE, "shared_validate"},
                             {MAP_SHARED, "shared"},
                             {MAP_PRIVATE, "private"},
                             {MAP_ANONYMOUS, "anon"},
                             {MAP_GROWSDOWN, "growsdown"},
                             {MAP_LOCKED, "locked"},
                             {MAP_NORESERVE, "noreserve"},
                             {MAP_STACK, "stack"},
                             {MAP_HUGETLB, "hugetlb"}};
  return Names(value, kFlags, "0");
}

std::string VmaStatus(uint64_t value) {
  constexpr Flag kFlags[] = {{kVmaRegular, "regular"},  {kVmaVsyscall, "vsyscall"},
                             {kVmaVdso, "vdso"},        {kVmaHeap, "heap"},
                             {kVmaFilePrivate, "file"}, {kVmaFileShared, "file_shared"},
                             {kVmaAnonPrivate, "anon"}, {kVmaVvar, "vvar"}};
  return Names(value, kFlags, "0");
}

std::string OpenFlags(uint64_t value) {
  constexpr const char* kAccess[] = {"rdonly", "wronly", "rdwr", "3"};
  // O_SYNC holds O_DSYNC and O_TMPFILE holds O_DIRECTORY: the greater comes first. glibc says 0 for
  // O_LARGEFILE on 64 bits, the kernel sets it for all.
  constexpr Flag kFlags[] = {
      {O_APPEND, "append"},     {O_NONBLOCK, "nonblock"}, {O_SYNC, "sync"},
      {O_DSYNC, "dsync"},       {O_ASYNC, "async"},       {O_DIRECT, "direct"},
      {0100000, "largefile"},   {O_TMPFILE, "tmpfile"},   {O_DIRECTORY, "directory"},
      {O_NOFOLLOW, "nofollow"}, {O_NOATIME, "noatime"},   {O_PATH, "path"},
      {O_CLOEXEC, "cloexec"}};
  std::string text = kAccess[value & O_ACCMODE];
  const uint64_t rest = value & ~uint64_t{O_ACCMODE};
  if (rest != 0) absl::StrAppend(&text, "|", Names(rest, kFlags, ""));
  return text;
}

std::string DescriptorFlags(uint64_t value) {
  constexpr Flag kFlags[] = {{FD_CLOEXEC, "cloexec"}};
  return Names(value, kFlags, "0");
}

std::string PagemapFlags(uint64_t value) {
  constexpr Flag kFlags[] = {{1, "parent"}, {2, "lazy"}, {4, "present"}};
  return Names(value, kFlags, "0");
}

std::string Seals(uint64_t value) {
  constexpr Flag kFlags[] = {{F_SEAL_SEAL, "seal"},
                             {F_SEAL_SHRINK, "shrink"},
                             {F_SEAL_GROW, "grow"},
                             {F_SEAL_WRITE, "write"},
                             {F_SEAL_FUTURE_WRITE, "future_write"}};
  return Names(value, kFlags, "0");
}

// The contract's own numbers, not the letters of proc_pid_stat(5).
std::string TaskState(uint64_t value) {
  constexpr const char* kStates[] = {"0", "alive", "dead", "stopped"};
  return value < std::size(kStates) ? kStates[value] : absl::StrCat(value);
}

std::string SocketFamily(uint64_t value) {
  if (value == AF_UNIX) return "unix";
  if (value == AF_INET) return "inet";
  if (value == AF_INET6) return "inet6";
  return absl::StrCat(value);
}

std::string SocketType(uint64_t value) {
  constexpr const char* kTypes[] = {"0", "stream", "dgram", "raw", "rdm", "seqpacket"};
  return value < std::size(kTypes) ? kTypes[value] : absl::StrCat(value);
}

// Device numbers inside the kernel: 12 bits of major, 20 of minor.
std::string KernelDevice(uint64_t value) { return absl::StrCat(value >> 20, ":", value & 0xfffff); }

// Device numbers as stat(2) gives them.
std::string StatDevice(uint64_t value) { return absl::StrCat(major(value), ":", minor(value)); }

std::string Limit(uint64_t value) {
  return value == ~uint64_t{0} ? "unlimited" : absl::StrCat(value);
}

struct Style {
  std::string_view message;  // empty: of any message
  std::string_view field;    // empty: every field of the message
  std::string (*text)(uint64_t value);
};

// The first row that fits is taken.
constexpr Style kStyles[] = {
    {"vma_entry", "prot", Protection},
    {"vma_entry", "flags", MapFlags},
    {"vma_entry", "status", VmaStatus},
    {"vma_entry", "fdflags", OpenFlags},
    {"vma_entry", "pgoff", Hex},
    {"vma_entry", "start", Hex},
    {"vma_entry", "end", Hex},
    {"vma_entry", "madv", Hex},
    {"mm_entry", "exe_file_id", nullptr},
    {"mm_entry", "dumpable", nullptr},
    {"mm_entry", "mm_saved_auxv", Hex},
    {"mm_entry", "", Hex},
    {"pagemap_entry", "vaddr", Hex},
    {"pagemap_entry", "flags", PagemapFlags},
    {"fdinfo_entry", "flags", DescriptorFlags},
    {"reg_file_entry", "flags", OpenFlags},
    {"pipe_entry", "flags", OpenFlags},
    {"fifo_entry", "flags", OpenFlags},
    {"memfd_file_entry", "flags", OpenFlags},
    {"bpfmap_file_entry", "flags", OpenFlags},
    {"tty_file_entry", "flags", OpenFlags},
    {"unix_sk_entry", "flags", OpenFlags},
    {"inet_sk_entry", "flags", OpenFlags},
    {"netlink_sk_entry", "flags", OpenFlags},
    {"packet_sock_entry", "flags", OpenFlags},
    {"eventfd_file_entry", "flags", OpenFlags},
    {"eventpoll_file_entry", "flags", OpenFlags},
    {"signalfd_entry", "flags", OpenFlags},
    {"timerfd_entry", "flags", OpenFlags},
    {"inotify_file_entry", "flags", OpenFlags},
    {"fanotify_file_entry", "flags", OpenFlags},
    {"unix_sk_entry", "uflags", Hex},
    {"unix_sk_entry", "type", SocketType},
    {"inet_sk_entry", "type", SocketType},
    {"inet_sk_entry", "family", SocketFamily},
    {"inet_sk_entry", "src_addr", Hex},
    {"inet_sk_entry", "dst_addr", Hex},
    {"memfd_inode_entry", "seals", Seals},
    {"task_core_entry", "task_state", TaskState},
    {"task_core_entry", "personality", Hex},
    {"task_core_entry", "blk_sigset", Hex},
    {"task_core_entry", "blk_sigset_extended", Hex},
    {"task_core_entry", "membarrier_registration_mask", Hex},
    {"thread_core_entry", "blk_sigset", Hex},
    {"thread_core_entry", "futex_rla", Hex},
    {"thread_core_entry", "blk_sigset_extended", Hex},
    {"thread_sas_entry", "ss_sp", Hex},
    {"thread_info_x86", "", Hex},
    {"user_x86_regs_entry", "", Hex},
    {"user_x86_fpregs_entry", "", Hex},
    {"user_x86_xsave_entry", "", Hex},
    {"creds_entry", "cap_inh", Hex},
    {"creds_entry", "cap_prm", Hex},
    {"creds_entry", "cap_eff", Hex},
    {"creds_entry", "cap_bnd", Hex},
    {"creds_entry", "cap_amb", Hex},
    {"creds_entry", "secbits", Hex},
    {"rseq_entry", "rseq_abi_size", nullptr},
    {"rseq_entry", "", Hex},
    {"sa_entry", "", Hex},
    {"rlimit_entry", "", Limit},
    {"ghost_file_entry", "dev", KernelDevice},
    {"ghost_file_entry", "rdev", StatDevice},
    {"inotify_wd_entry", "s_dev", KernelDevice},
    {"fanotify_mark_entry", "s_dev", KernelDevice},
    {"irmap_cache_entry", "dev", StatDevice},
    {"inotify_wd_entry", "mask", Hex},
    {"fanotify_mark_entry", "mflags", Hex},
    {"fanotify_mark_entry", "mask", Hex},
    {"fanotify_mark_entry", "ignored_mask", Hex},
    {"tcp_stream_entry", "opt_mask", Hex},
    {"", "build_id", Hex},
    {"", "mode", Octal},
    {"", "umask", Octal},
    {"", "sigmask", Hex},
};

}  // namespace

std::optional<std::string> StyledNumber(const google::protobuf::FieldDescriptor& field,
                                        uint64_t value) {
  for (const Style& style : kStyles) {
    if (!style.message.empty() && style.message != field.containing_type()->name()) continue;
    if (!style.field.empty() && style.field != field.name()) continue;
    if (style.text == nullptr) return std::nullopt;
    return style.text(value);
  }
  return std::nullopt;
}

}  // namespace dumpctl
