#include "proc/open_file_row.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/eventfd.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>

#include <charconv>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <iterator>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace dumpctl {
namespace {

// Within the kernel (<linux/kdev_t.h>).
dev_t DeviceOf(uint32_t device) {
  constexpr unsigned kMinorBits = 20;
  return makedev(device >> kMinorBits, device & ((1U << kMinorBits) - 1));
}

struct stat KeptOf(const KernelFile& file) {
  struct stat stat = {};
  stat.st_dev = DeviceOf(file.device);
  stat.st_ino = file.inode;
  stat.st_mode = file.mode;
  stat.st_nlink = file.links;
  stat.st_uid = file.uid;
  stat.st_gid = file.gid;
  stat.st_size = file.size;
  stat.st_blksize = blksize_t{1} << file.block_bits;
  stat.st_blocks = static_cast<blkcnt_t>(file.blocks);
  return stat;
}

std::optional<struct stat> StatOf(const KernelFile& file) {
  struct stat stat = KeptOf(file);
  switch (file.magic) {
    case PIPEFS_MAGIC:
    case SOCKFS_MAGIC:
      return stat;
    case ANON_INODE_FS_MAGIC:
      // Since Linux 6.16 they are regular files to the kernel itself, and to nobody else.
      stat.st_mode &= ~static_cast<mode_t>(S_IFMT);
      return stat;
    default:
      return std::nullopt;
  }
}

constexpr std::string_view kEventfd = "[eventfd]";
constexpr std::string_view kTimerfd = "[timerfd]";

std::string_view NameOf(const KernelFile& file) {
  return {file.name, strnlen(file.name, sizeof file.name)};
}

bool IsObject(const KernelFile& file, std::string_view name) {
  return file.magic == ANON_INODE_FS_MAGIC && NameOf(file) == name;
}

std::optional<uint32_t> EmptyPipe(const KernelFile& file) {
  constexpr uint32_t kPage = 4096;
  if (file.magic != PIPEFS_MAGIC || file.pipe_pages == 0 || file.pipe_head != file.pipe_tail) {
    return std::nullopt;
  }
  return file.pipe_pages * kPage;
}

// What has no path the kernel's file systems for such describe so (d_dname).
std::optional<std::string> LinkOf(const KernelFile& file) {
  std::string name(NameOf(file));
  // What fills its place may be longer.
  if (name.size() + 1 >= sizeof file.name) return std::nullopt;
  switch (file.magic) {
    case PIPEFS_MAGIC:
      return absl::StrCat("pipe:[", file.inode, "]");
    case SOCKFS_MAGIC:
      return name.empty() ? absl::StrCat("socket:[", file.inode, "]")
                          : absl::StrCat("socket:[", file.inode, "] (", name, ")");
    case ANON_INODE_FS_MAGIC:
      return absl::StrCat("anon_inode:", name);
    default:
      if (file.link_size <= 0) return std::nullopt;
      return std::string(file.link, strnlen(file.link, sizeof file.link));
  }
}

std::string Octal(uint32_t value) {
  char digits[12];
  return {digits, std::to_chars(digits, std::end(digits), value, 8).ptr};
}

std::string EventfdText(const KernelFile& file) {
  return absl::StrCat("eventfd-count: ", absl::Hex(file.event_count, absl::kSpacePad16),
                      "\neventfd-id: ", file.event_id,
                      "\neventfd-semaphore: ", file.event_flags & EFD_SEMAPHORE, "\n");
}

// When `file` was read, by the clock of its timer; none of clocks that wake the machine.
std::optional<int64_t> TimerNow(const KernelFile& file, absl::Duration tai_offset) {
  switch (file.timer_clock) {
    case CLOCK_REALTIME:
      // What it is set to relatively no setting of the clock changes.
      if ((file.timer_flags & TFD_TIMER_ABSTIME) == 0) return file.monotonic;
      return file.tai - absl::ToInt64Nanoseconds(tai_offset);
    case CLOCK_MONOTONIC:
      return file.monotonic;
    case CLOCK_BOOTTIME:
      return file.boottime;
    default:
      return std::nullopt;
  }
}

std::string Seconds(int64_t nanoseconds) {
  constexpr int64_t kSecond = 1'000'000'000;
  return absl::StrCat("(", nanoseconds / kSecond, ", ", nanoseconds % kSecond, ")");
}

// Only of a timer that had not expired when it was read: what is left of another one the kernel has
// to be asked, for it may be just about to count that.
std::optional<std::string> TimerfdText(const KernelFile& file, absl::Duration tai_offset) {
  const std::optional<int64_t> now = TimerNow(file, tai_offset);
  if (!now) return std::nullopt;
  const bool armed = file.timer_expires != 0;
  const int64_t left = armed ? file.timer_expires - *now : 0;
  if (armed && left <= 0) return std::nullopt;
  return absl::StrCat("clockid: ", file.timer_clock, "\nticks: ", file.timer_ticks,
                      "\nsettime flags: 0", Octal(file.timer_flags), "\nit_value: ", Seconds(left),
                      "\nit_interval: ", Seconds(file.timer_interval), "\n");
}

// What fdinfo says besides what it says of all; none where that is not known here.
std::optional<std::string> MoreOf(const KernelFile& file, absl::Duration tai_offset) {
  if (file.locks != 0) return std::nullopt;
  if (file.show_fdinfo == 0 || file.magic == SOCKFS_MAGIC) return "";
  if (IsObject(file, kEventfd)) return EventfdText(file);
  if (IsObject(file, kTimerfd)) return TimerfdText(file, tai_offset);
  return std::nullopt;
}

}  // namespace

std::string_view LastingPart(KernelFile& file) {
  if (!IsObject(file, kEventfd)) {
    file.event_count = 0;
    file.event_flags = 0;
    file.event_id = 0;
  }
  if (!IsObject(file, kTimerfd)) {
    file.timer_ticks = 0;
    file.timer_expires = 0;
    file.timer_interval = 0;
    file.timer_clock = 0;
    file.timer_flags = 0;
  }
  constexpr size_t kBegin = offsetof(KernelFile, number);
  return {reinterpret_cast<const char*>(&file) + kBegin,
          offsetof(KernelFile, link) + strnlen(file.link, sizeof file.link) - kBegin};
}

OpenFileRow RowOf(const KernelFile& file, absl::Duration tai_offset) {
  OpenFileRow row = {.number = static_cast<int>(file.number),
                     .open_file = file.address,
                     .inode = file.inode,
                     .may_be_owned = file.owner != 0,
                     .link = LinkOf(file),
                     .stat = StatOf(file),
                     .kept = KeptOf(file),
                     .empty_pipe = EmptyPipe(file)};
  std::optional<std::string> more = MoreOf(file, tai_offset);
  if (!more) return row;
  row.more = *std::move(more);
  const bool close_on_exec = (file.close_on_exec >> (file.number % 64) & 1) != 0;
  // O_CLOEXEC is the descriptor's own.
  const uint32_t flags = (file.flags & ~static_cast<uint32_t>(O_CLOEXEC)) |
                         (close_on_exec ? static_cast<uint32_t>(O_CLOEXEC) : 0);
  row.info = FdInfo{
      .pos = file.pos, .flags = flags, .mount_id = file.mount_id, .ino = file.inode, .locks = {}};
  // What is left of a timer becomes less.
  const bool runs = file.timer_expires != 0 && IsObject(file, kTimerfd);
  row.says_all = row.link && !row.may_be_owned && !runs;
  return row;
}

}  // namespace dumpctl
