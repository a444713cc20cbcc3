#ifndef DUMPCTL_VMA_H_
#define DUMPCTL_VMA_H_

#include <sys/stat.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "dumpctl/file_identity.h"
#include "dumpctl/remote_address.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// The two-letter codes of smaps' VmFlags line (proc_pid_smaps(5), fs/proc/task_mmu.c).
enum class VmFlag : uint8_t {
  kRead,              // rd
  kWrite,             // wr
  kExec,              // ex
  kShared,            // sh
  kMayRead,           // mr
  kMayWrite,          // mw
  kMayExec,           // me
  kMayShare,          // ms
  kGrowsDown,         // gd
  kPfnMap,            // pf: pages without struct page
  kLocked,            // lo
  kIo,                // io: device memory
  kSequentialRead,    // sr: MADV_SEQUENTIAL
  kRandomRead,        // rr: MADV_RANDOM
  kDontCopy,          // dc: MADV_DONTFORK
  kDontExpand,        // de
  kLockOnFault,       // lf: MLOCK_ONFAULT
  kAccount,           // ac
  kNoReserve,         // nr: MAP_NORESERVE
  kHugeTlb,           // ht
  kSync,              // sf: MAP_SYNC
  kArch1,             // ar
  kWipeOnFork,        // wf: MADV_WIPEONFORK
  kDontDump,          // dd: MADV_DONTDUMP
  kSoftDirty,         // sd
  kMixedMap,          // mm
  kHugePage,          // hg: MADV_HUGEPAGE
  kNoHugePage,        // nh: MADV_NOHUGEPAGE
  kMergeable,         // mg: MADV_MERGEABLE
  kUffdMissing,       // um
  kUffdWriteProtect,  // uw
  kUffdMinor,         // ui
  kDroppable,         // dp: MAP_DROPPABLE (6.11)
  kSealed,            // sl: mseal(2) (6.10)
  kShadowStack,       // ss
  kGuarded,           // gu: may hold MADV_GUARD_INSTALL ranges (seen on 6.18)
  kOther,             // a code this version does not know, or that has no meaning for a dump
};

class VmFlags {
 public:
  constexpr VmFlags() = default;
  constexpr VmFlags(std::initializer_list<VmFlag> flags) {
    for (const VmFlag flag : flags) Set(flag);
  }
  constexpr void Set(VmFlag flag) { bits_ |= uint64_t{1} << static_cast<int>(flag); }
  constexpr void Clear(VmFlag flag) { bits_ &= ~(uint64_t{1} << static_cast<int>(flag)); }
  constexpr bool Has(VmFlag flag) const { return bits_ >> static_cast<int>(flag) & 1; }
  friend constexpr bool operator==(VmFlags, VmFlags) = default;

 private:
  uint64_t bits_ = 0;
};

// What the kernel says about one mapping: a line of /proc/PID/maps, and VmFlags where the text was
// smaps. Nothing of ours is in it.
struct Mapping {
  RemoteAddress start;
  RemoteAddress end;
  bool read = false;
  bool write = false;
  bool exec = false;
  bool shared = false;
  uint64_t offset = 0;  // in the file, bytes
  FileIdentity file;    // not valid() for anonymous and special mappings
  // As printed, newlines unescaped and a trailing " (deleted)" taken off; empty for plain anonymous
  // memory. The kernel does not escape backslashes here, so a file whose name holds the four
  // characters \012 reads as one with a newline: FileFacts::path is exact.
  std::string name;
  // The name ended in " (deleted)". A living file may be called so: FileFacts::deleted is exact.
  bool deleted = false;
  // Not known when read from maps.
  std::optional<VmFlags> flags;

  uint64_t size() const { return end - start; }
  bool Has(VmFlag flag) const { return flags.has_value() && flags->Has(flag); }
  friend bool operator==(const Mapping&, const Mapping&) = default;
};

// VmFlags of one mapping, known by its addresses alone.
struct MappingFlags {
  RemoteAddress start;
  RemoteAddress end;
  VmFlags flags;
  friend bool operator==(const MappingFlags&, const MappingFlags&) = default;
};

// What a mapping is, as far as dump and restore treat it differently.
enum class VmaKind : uint8_t {
  kAnonPrivate,
  kHeap,       // [heap]
  kStack,      // [stack]
  kVdso,       // [vdso]
  kVvar,       // [vvar]
  kVvarClock,  // [vvar_vclock] (6.13)
  kVsyscall,   // [vsyscall]: in the kernel's half, the same in every task
  kFilePrivate,
  kFileShared,
  kAnonShared,  // mmap(MAP_SHARED|MAP_ANONYMOUS): a nameless tmpfs file, "/dev/zero (deleted)"
  kMemfd,       // memfd_create(2)
  kSysvShm,     // shmat(2)
  kHugetlb,     // huge pages of a SysV segment, or of a deleted file of hugetlbfs
  kSocket,      // a packet socket's ring
  kAioRing,     // io_setup(2)
  kAnonInode,   // anon_inode:, [io_uring], perf, bpf...: the name says which
  kDevice,      // a character or block device other than /dev/zero
  kSpecial,     // any other [name] of the kernel's ([uprobes], ...)
};

// What was learnt from a mapped file by opening its map_files link, the same for every VMA of it.
struct FileFacts {
  struct stat stat = {};
  uint64_t mount_id = 0;  // as in /proc/PID/mountinfo of the file's mount namespace
  // As readlink(2) answers for the open file, without " (deleted)".
  std::string path;
  // The path names this file no more. It may have other links: see stat.st_nlink.
  bool deleted = false;
  bool shmem = false;  // it lives in the kernel's internal tmpfs (anonymous shared, SysV, memfd)
  uint64_t shmem_id =
      0;  // what tells one shared memory object from another: its inode; 0: not shmem
  bool sysv = false;
  bool memfd = false;
  bool hugetlb = false;
  bool socket = false;  // stat says so, or (packet rings) the link cannot be opened
};

// A VMA's hold on its mapped file: nothing, its own descriptor, or another VMA's. An owner is never
// erased from its list, so it outlives its borrowers.
using MapFile = std::variant<std::monostate, UniqueFd, BorrowedFd>;

struct Vma {
  Mapping mapping;
  MapFile file;
  // Shared by every VMA of the same file; null where there is none or it could not be opened.
  std::shared_ptr<const FileFacts> facts;
  VmaKind kind = VmaKind::kAnonPrivate;
  bool grows_down = false;
  // Private memory that is known to hold no page of its own, and no guards.
  bool untouched = false;

  RemoteAddress start() const { return mapping.start; }
  RemoteAddress end() const { return mapping.end; }
  uint64_t size() const { return mapping.size(); }
  bool owns_file() const { return std::holds_alternative<UniqueFd>(file); }
  bool borrows_file() const { return std::holds_alternative<BorrowedFd>(file); }
  // The descriptor, owned or borrowed; -1 for none.
  int fd() const {
    if (const auto* owned = std::get_if<UniqueFd>(&file)) return owned->get();
    if (const auto* borrowed = std::get_if<BorrowedFd>(&file)) return borrowed->get();
    return -1;
  }
};

}  // namespace dumpctl

#endif  // DUMPCTL_VMA_H_
