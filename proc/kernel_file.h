#ifndef PROC_KERNEL_FILE_H_
#define PROC_KERNEL_FILE_H_

#include <cstdint>
#include <string_view>

namespace dumpctl {

// What the program of MakeFileProgram hands out of each descriptor: what the kernel keeps of it, as
// the kernel keeps it. What is an eventfd's (or a timerfd's) is there of kernel objects
// (anon_inode) whose name begins like that of one, and is nothing of the kind where the file is
// none.
struct KernelFile {
  // When an armed timer was read: nanoseconds of CLOCK_MONOTONIC, CLOCK_BOOTTIME and CLOCK_TAI, of
  // no time namespace.
  int64_t monotonic;
  int64_t boottime;
  int64_t tai;
  uint64_t number;
  uint64_t complete;  // 0 where something was not there that should be
  uint64_t address;
  uint64_t pos;
  uint64_t inode;
  uint64_t show_fdinfo;    // a function, or none
  uint64_t locks;          // not 0: its lists of locks are not all empty
  uint64_t owner;          // who signals go to, once there was anybody
  uint64_t close_on_exec;  // of the 64 descriptors around it
  uint64_t magic;          // of the file system: statfs(2), <linux/magic.h>
  int64_t size;
  uint64_t private_data;
  uint64_t event_count;
  uint64_t timer_ticks;
  int64_t timer_expires;   // nanoseconds of the timer's clock; 0 of one that is not armed
  int64_t timer_interval;  // nanoseconds
  int64_t link_size;       // with its end; or an error; 0 of what has no path
  uint64_t blocks;         // of 512 bytes
  uint32_t event_flags;
  int32_t event_id;
  int32_t timer_clock;
  uint16_t timer_flags;
  uint16_t mode;
  uint32_t flags;
  int32_t mount_id;
  uint32_t device;
  uint32_t links;
  uint32_t uid;
  uint32_t gid;
  // Of pipes (pipefs): where the next is written and read, which is one place in an empty one, and
  // how many pages it may hold.
  uint32_t pipe_head;
  uint32_t pipe_tail;
  uint32_t pipe_pages;
  uint8_t block_bits;
  uint8_t unused[3];
  // Of what has no path, a pipe, a socket or a kernel object: what the kernel calls it (nothing, a
  // protocol, "[eventfd]"), or the beginning of that.
  char name[32];
  char link[232];
};
static_assert(sizeof(KernelFile) % sizeof(uint64_t) == 0);

// All that it says but when that was, each time the same as long as nothing of it changes. What it
// took for something that the file is not is zeroed in it first.
std::string_view LastingPart(KernelFile& file);

}  // namespace dumpctl

#endif  // PROC_KERNEL_FILE_H_
