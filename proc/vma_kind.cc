#include "proc/vma_kind.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <string_view>
#include <utility>

namespace dumpctl {
namespace {

// Names the kernel gives mappings without a file. No path can look like these: paths start with
// '/', and names that a task gives (PR_SET_VMA_ANON_NAME) come as "[anon:...]".
constexpr std::pair<std::string_view, VmaKind> kSpecialNames[] = {
    {"[heap]", VmaKind::kHeap},
    {"[stack]", VmaKind::kStack},
    {"[vdso]", VmaKind::kVdso},
    {"[vvar]", VmaKind::kVvar},
    {"[vvar_vclock]", VmaKind::kVvarClock},
    {"[vsyscall]", VmaKind::kVsyscall},
};

bool IsZeroDevice(const struct stat& stat) {
  return S_ISCHR(stat.st_mode) && stat.st_rdev == makedev(1, 5);
}

VmaKind KindWithoutFile(std::string_view name) {
  if (name.empty() || name.starts_with("[anon:")) return VmaKind::kAnonPrivate;
  for (const auto& [special, kind] : kSpecialNames) {
    if (name == special) return kind;
  }
  return VmaKind::kSpecial;
}

VmaKind HugetlbKind(const Mapping& mapping, const FileFacts* facts) {
  // Without the file the size of its pages is not known. What is left are segments of SysV, and
  // files of hugetlbfs that have no name any more.
  if (facts == nullptr || facts->sysv) return VmaKind::kHugetlb;
  if (facts->memfd) return VmaKind::kMemfd;
  if (facts->deleted && mapping.name == "/anon_hugepage") {
    // Of shared memory the object is nothing but a memfd that no descriptor refers to.
    return mapping.shared ? VmaKind::kMemfd : VmaKind::kAnonPrivate;
  }
  if (facts->deleted) return VmaKind::kHugetlb;
  return mapping.shared ? VmaKind::kFileShared : VmaKind::kFilePrivate;
}

}  // namespace

VmaKind KindOf(const Mapping& mapping, const FileFacts* facts) {
  const std::string_view name = mapping.name;
  if (!mapping.file.valid()) return KindWithoutFile(name);
  if (mapping.Has(VmFlag::kHugeTlb) || (facts && facts->hugetlb)) {
    return HugetlbKind(mapping, facts);
  }
  if (name.starts_with("anon_inode:")) return VmaKind::kAnonInode;
  if (name.starts_with("socket:[") || (facts && facts->socket)) return VmaKind::kSocket;
  if (facts && facts->sysv) return VmaKind::kSysvShm;
  // Restorers bring anonymous shared memory back as a memfd without a name: it stays one.
  if (facts && facts->memfd) return VmaKind::kMemfd;
  if (facts && facts->shmem) {
    // PR_SET_VMA_ANON_NAME on shared anonymous memory shows instead of "/dev/zero" (Linux 6.2).
    const bool anonymous = name == "/dev/zero" || name.starts_with("[anon_shmem:");
    return mapping.shared && anonymous ? VmaKind::kAnonShared : VmaKind::kSpecial;
  }
  // A pseudo file system of its own, so on a device with major 0.
  if (name == "/[aio]" && mapping.deleted && major(mapping.file.dev) == 0) return VmaKind::kAioRing;
  // A private mapping of /dev/zero is anonymous memory that keeps its file's name; a shared one
  // became shmem above.
  if (facts && !IsZeroDevice(facts->stat) &&
      (S_ISCHR(facts->stat.st_mode) || S_ISBLK(facts->stat.st_mode))) {
    return VmaKind::kDevice;
  }
  return mapping.shared ? VmaKind::kFileShared : VmaKind::kFilePrivate;
}

}  // namespace dumpctl
