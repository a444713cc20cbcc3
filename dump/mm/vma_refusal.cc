#include "dump/mm/vma_refusal.h"

#include <string_view>

namespace dumpctl {
namespace {

constexpr WhyNot kAnonShared = {"its contents cannot be read through map_files",
                                "run dumpctl with CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN"};
constexpr WhyNot kHugetlb = {
    "its hugetlb pages are those of a SysV segment or of a deleted file, which no restore brings "
    "back",
    "let the program use MAP_HUGETLB, MFD_HUGETLB, or a file of hugetlbfs that has a name"};
constexpr WhyNot kSocket = {"it is the ring of a packet socket, which this version does not save",
                            "let the program close its packet capture"};
constexpr WhyNot kIoUring = {"it is the ring of an io_uring, whose state the kernel does not show",
                             "run the program without io_uring"};
constexpr WhyNot kPerfEvent = {"it is the buffer of a perf event, which lives in the kernel",
                               "end the profiling"};
constexpr WhyNot kBpf = {"it is the memory of a BPF map, which lives in the kernel",
                         "let the program close its BPF maps"};
constexpr WhyNot kAnonInode = {"it is memory of a kernel object that cannot be put back",
                               "let the program close what the name says"};
constexpr WhyNot kDevice = {"it is memory of a device, whose state only its driver knows",
                            "let the program close the device"};
constexpr WhyNot kSpecial = {"it is a kernel mapping that this version does not know",
                             "remove what put it there (uprobes, a driver)"};
constexpr WhyNot kUserfaultfd = {"it is registered with a userfaultfd, whose handler is elsewhere",
                                 "let the program close its userfaultfd"};
constexpr WhyNot kShadowStack = {"it is a shadow stack, which this version does not save",
                                 "run the program with GLIBC_TUNABLES=glibc.cpu.hwcaps=-SHSTK"};

constexpr WhyNot kGuarded = {
    "it holds guard ranges (MADV_GUARD_INSTALL), and this kernel does not tell where",
    "run Linux 6.15 or newer"};

WhyNot WhyNotAnonInode(std::string_view name) {
  if (name.find("io_uring") != name.npos) return kIoUring;
  if (name.find("perf_event") != name.npos) return kPerfEvent;
  if (name.find("bpf") != name.npos) return kBpf;
  return kAnonInode;
}

std::optional<WhyNot> WhyNotKind(const Vma& vma) {
  switch (vma.kind) {
    case VmaKind::kAnonShared:
      if (vma.facts == nullptr) return kAnonShared;
      return std::nullopt;
    case VmaKind::kHugetlb:
      return kHugetlb;
    case VmaKind::kSocket:
      return kSocket;
    case VmaKind::kAnonInode:
      return WhyNotAnonInode(vma.mapping.name);
    case VmaKind::kDevice:
      return kDevice;
    case VmaKind::kSpecial:
      return kSpecial;
    case VmaKind::kAnonPrivate:
    case VmaKind::kHeap:
    case VmaKind::kStack:
    case VmaKind::kVdso:
    case VmaKind::kVvar:
    case VmaKind::kVvarClock:
    case VmaKind::kVsyscall:
    case VmaKind::kFilePrivate:
    case VmaKind::kFileShared:
    case VmaKind::kMemfd:
    case VmaKind::kSysvShm:
    case VmaKind::kAioRing:  // as long as nothing is under way in it
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

WhyNot WhyNotShadowStack() { return kShadowStack; }

WhyNot WhyNotGuarded() { return kGuarded; }

std::optional<WhyNot> WhyNotDumpable(const Vma& vma) {
  if (const std::optional<WhyNot> why = WhyNotKind(vma)) return why;
  const Mapping& mapping = vma.mapping;
  if (mapping.Has(VmFlag::kUffdMissing) || mapping.Has(VmFlag::kUffdMinor) ||
      mapping.Has(VmFlag::kUffdWriteProtect)) {
    return kUserfaultfd;
  }
  if (mapping.Has(VmFlag::kShadowStack)) return kShadowStack;
  // The kernel's own time pages are such too, and every restore brings its own.
  const bool time_pages = vma.kind == VmaKind::kVvar || vma.kind == VmaKind::kVvarClock;
  if (!time_pages && (mapping.Has(VmFlag::kIo) || mapping.Has(VmFlag::kPfnMap))) return kDevice;
  return std::nullopt;
}

}  // namespace dumpctl
