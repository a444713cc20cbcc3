#ifndef DUMPCTL_KERNEL_ABI_H_
#define DUMPCTL_KERNEL_ABI_H_

#include <linux/ioctl.h>

#include <cstdint>

// Kernel structures and numbers newer than the headers this is built with (Debian 12 ships Linux
// 6.1's). Each is restated once, here, under a name of its own so that newer headers do not clash,
// and held to the kernel's size. Whether the running kernel has it is KernelFeatures' to say.
namespace dumpctl::abi {

// --- PAGEMAP_SCAN, an ioctl on /proc/PID/pagemap (Linux 6.7, Documentation/admin-guide/mm/
// pagemap.rst). Returns how many regions it filled, or a negative errno.

struct PageRegion {
  uint64_t start;       // address, bytes
  uint64_t end;         // address behind the last byte
  uint64_t categories;  // kPageIs...
};
static_assert(sizeof(PageRegion) == 24);

struct PmScanArg {
  uint64_t size;   // sizeof(PmScanArg)
  uint64_t flags;  // kPmScan...
  uint64_t start;  // addresses, page-aligned
  uint64_t end;
  uint64_t walk_end;   // out: where the walk stopped
  uint64_t vec;        // PageRegion*, in the caller
  uint64_t vec_len;    // in regions
  uint64_t max_pages;  // 0: no limit
  uint64_t category_inverted;
  uint64_t category_mask;
  uint64_t category_anyof_mask;
  uint64_t return_mask;
};
static_assert(sizeof(PmScanArg) == 96);

inline constexpr unsigned long kPagemapScan = _IOWR('f', 16, PmScanArg);

inline constexpr uint64_t kPageIsWpAllowed = 1u << 0;
inline constexpr uint64_t kPageIsWritten = 1u << 1;
inline constexpr uint64_t kPageIsFile = 1u << 2;
inline constexpr uint64_t kPageIsPresent = 1u << 3;
inline constexpr uint64_t kPageIsSwapped = 1u << 4;
inline constexpr uint64_t kPageIsPfnZero = 1u << 5;
inline constexpr uint64_t kPageIsHuge = 1u << 6;
inline constexpr uint64_t kPageIsSoftDirty = 1u << 7;  // only with CONFIG_MEM_SOFT_DIRTY
inline constexpr uint64_t kPageIsGuard = 1u << 8;      // Linux 6.15: MADV_GUARD_INSTALL

inline constexpr uint64_t kPmScanWpMatching = 1u << 0;
inline constexpr uint64_t kPmScanCheckWpAsync = 1u << 1;

// Bits of one 64-bit /proc/PID/pagemap entry (pagemap.rst).
inline constexpr uint64_t kPagemapFrame = (uint64_t{1} << 55) - 1;  // present: 0 if hidden
inline constexpr uint64_t kPagemapSoftDirty = uint64_t{1} << 55;
inline constexpr uint64_t kPagemapExclusive = uint64_t{1} << 56;
inline constexpr uint64_t kPagemapUffdWp = uint64_t{1} << 57;
inline constexpr uint64_t kPagemapGuard = uint64_t{1} << 58;  // Linux 6.15
inline constexpr uint64_t kPagemapFile = uint64_t{1} << 61;
inline constexpr uint64_t kPagemapSwapped = uint64_t{1} << 62;
inline constexpr uint64_t kPagemapPresent = uint64_t{1} << 63;

// --- PROCMAP_QUERY, an ioctl on /proc/PID/maps (Linux 6.11, include/uapi/linux/fs.h).

struct ProcmapQuery {
  uint64_t size;  // sizeof(ProcmapQuery)
  uint64_t query_flags;
  uint64_t query_addr;
  uint64_t vma_start;  // out
  uint64_t vma_end;    // out
  uint64_t vma_flags;  // out: kProcmapVma... permissions
  uint64_t vma_page_size;
  uint64_t vma_offset;  // bytes
  uint64_t inode;
  uint32_t dev_major;
  uint32_t dev_minor;
  uint32_t vma_name_size;  // in: room; out: length with the terminating zero
  uint32_t build_id_size;
  uint64_t vma_name_addr;
  uint64_t build_id_addr;
};
static_assert(sizeof(ProcmapQuery) == 104);

inline constexpr unsigned long kProcmapQuery = _IOWR('f', 17, ProcmapQuery);

inline constexpr uint64_t kProcmapVmaReadable = 0x01;
inline constexpr uint64_t kProcmapVmaWritable = 0x02;
inline constexpr uint64_t kProcmapVmaExecutable = 0x04;
inline constexpr uint64_t kProcmapVmaShared = 0x08;
inline constexpr uint64_t kProcmapCoveringOrNext = 0x10;
inline constexpr uint64_t kProcmapFileBacked = 0x20;

// --- madvise(2) advice newer than the headers.
inline constexpr int kMadvCollapse = 25;       // Linux 6.1
inline constexpr int kMadvGuardInstall = 102;  // Linux 6.13
inline constexpr int kMadvGuardRemove = 103;

// --- fcntl(2): do two descriptors share one open file? 1 or 0. Linux 6.10.
inline constexpr int kFDupfdQuery = 1024 + 3;

// --- pidfd_open(2): of a thread, not of its process. Linux 6.9.
inline constexpr unsigned kPidfdThread = 0200;  // O_EXCL

// --- userfaultfd(2): writes to protected pages are let through and remembered (PAGE_IS_WRITTEN
// tells), without any handler. Linux 6.7.
inline constexpr uint64_t kUffdFeatureWpAsync = 1u << 15;
inline constexpr uint64_t kUffdUserModeOnly = 1;

// --- mmap(2), mseal(2).
inline constexpr int kMapDroppable = 0x08;  // Linux 6.11
inline constexpr long kSysMseal = 462;      // Linux 6.10

// --- statx(2), Linux 6.8: a mount id that is never used again.
inline constexpr uint32_t kStatxMntIdUnique = 0x00004000u;

// --- Options of sockets (socket(7), include/uapi/asm-generic/socket.h).
inline constexpr int kSoNetnsCookie = 71;  // Linux 5.14
inline constexpr int kSoPassPidfd = 76;    // Linux 6.5
inline constexpr int kSoRcvPriority = 82;  // Linux 6.14
inline constexpr int kSoPassRights = 83;   // Linux 6.16: on, unless it was set

// --- Options of internet sockets (ip(7), ipv6(7), tcp(7); include/uapi/linux/in.h, in6.h, tcp.h,
// and net/udplite.h).
inline constexpr int kIpLocalPortRange = 51;  // Linux 6.3
inline constexpr int kIpv6RecverrRfc4884 = 31;
inline constexpr int kIpv6FlowinfoSend = 33;
inline constexpr int kIpv6Hdrincl = 36;
inline constexpr int kTcpRtoMaxMs = 44;     // Linux 6.15
inline constexpr int kTcpRtoMinUs = 45;     // Linux 6.17
inline constexpr int kTcpDelackMaxUs = 46;  // Linux 6.17
inline constexpr int kUdpliteSendCscov = 10;
inline constexpr int kUdpliteRecvCscov = 11;

}  // namespace dumpctl::abi

#endif  // DUMPCTL_KERNEL_ABI_H_
