#include "dump/task/registers_x86_64.h"

#include <asm/ldt.h>
#include <cpuid.h>
#include <sys/ptrace.h>

#include <cerrno>
#include <cstring>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace dumpctl {
namespace {

// Intel SDM volume 1, chapter 13: the legacy area, then a header whose first word says which
// components are not in their initial state; the others follow at offsets that CPUID leaf 0xD
// tells. The kernel puts the mask of enabled components into the software bytes (NT_X86_XSTATE).
constexpr size_t kSoftwareBytes = 464;
constexpr size_t kHeader = 512;
constexpr size_t kHeaderEnd = 576;

enum Component : unsigned {
  kYmm = 2,
  kOpmask = 5,
  kZmmUpper = 6,
  kHi16Zmm = 7,
  kPkru = 9,
  kTileConfig = 17,
  kTileData = 18,
};

// GDT_ENTRY_TLS_MIN of 64-bit kernels, and GDT_ENTRY_TLS_ENTRIES.
constexpr uint32_t kFirstTls = 12;
constexpr uint32_t kTlsCount = 3;

struct LegacyArea {
  uint16_t cwd, swd, twd, fop;
  uint64_t rip, rdp;
  uint32_t mxcsr, mxcsr_mask;
  uint32_t st_space[32];
  uint32_t xmm_space[64];
  uint32_t padding[24];
};
static_assert(sizeof(LegacyArea) == 512);

template <typename T>
T ValueAt(std::span<const std::byte> bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

struct Area {
  size_t offset = 0;
  size_t size = 0;
};

// Asked of the processor once, and for no more than is needed: where a hypervisor answers CPUID, it
// takes 4 us.
template <Component component>
const Area& AreaOf() {
  static const Area area = [] {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    __cpuid_count(0xd, component, eax, ebx, ecx, edx);
    return Area{.offset = ebx, .size = eax};
  }();
  return area;
}

bool Enabled(std::span<const std::byte> xstate, Component component) {
  return (ValueAt<uint64_t>(xstate, kSoftwareBytes) >> component & 1) != 0;
}

// Copies a component of an enabled feature; the kernel fills in initial values where unused.
template <Component component, typename T, typename Field>
void CopyComponent(std::span<const std::byte> xstate, Field* field) {
  if (!Enabled(xstate, component)) return;
  const Area& place = AreaOf<component>();
  if (place.offset + place.size > xstate.size()) return;
  const size_t count = place.size / sizeof(T);
  field->Resize(static_cast<int>(count), T{});
  std::memcpy(field->mutable_data(), xstate.data() + place.offset, count * sizeof(T));
}

void FillGeneral(const GeneralRegisters& stopped, image::user_x86_regs_entry* out) {
  const GeneralRegisters r = ImageRegisters(stopped);
  out->set_r15(r.r15);
  out->set_r14(r.r14);
  out->set_r13(r.r13);
  out->set_r12(r.r12);
  out->set_bp(r.rbp);
  out->set_bx(r.rbx);
  out->set_r11(r.r11);
  out->set_r10(r.r10);
  out->set_r9(r.r9);
  out->set_r8(r.r8);
  out->set_ax(r.rax);
  out->set_cx(r.rcx);
  out->set_dx(r.rdx);
  out->set_si(r.rsi);
  out->set_di(r.rdi);
  // Only told, as the field's images do: the restored thread is not inside this call.
  out->set_orig_ax(stopped.orig_rax);
  out->set_ip(r.rip);
  out->set_cs(r.cs);
  out->set_flags(r.eflags);
  out->set_sp(r.rsp);
  out->set_ss(r.ss);
  out->set_fs_base(r.fs_base);
  out->set_gs_base(r.gs_base);
  out->set_ds(r.ds);
  out->set_es(r.es);
  out->set_fs(r.fs);
  out->set_gs(r.gs);
  out->set_mode(image::NATIVE);
}

void FillExtended(std::span<const std::byte> xstate, image::user_x86_fpregs_entry* out) {
  const auto legacy = ValueAt<LegacyArea>(xstate, 0);
  out->set_cwd(legacy.cwd);
  out->set_swd(legacy.swd);
  out->set_twd(legacy.twd);
  out->set_fop(legacy.fop);
  out->set_rip(legacy.rip);
  out->set_rdp(legacy.rdp);
  out->set_mxcsr(legacy.mxcsr);
  out->set_mxcsr_mask(legacy.mxcsr_mask);
  out->mutable_st_space()->Add(std::begin(legacy.st_space), std::end(legacy.st_space));
  out->mutable_xmm_space()->Add(std::begin(legacy.xmm_space), std::end(legacy.xmm_space));
  image::user_x86_xsave_entry* xsave = out->mutable_xsave();
  xsave->set_xstate_bv(ValueAt<uint64_t>(xstate, kHeader));
  CopyComponent<kYmm, uint32_t>(xstate, xsave->mutable_ymmh_space());
  CopyComponent<kOpmask, uint64_t>(xstate, xsave->mutable_opmask_reg());
  CopyComponent<kZmmUpper, uint64_t>(xstate, xsave->mutable_zmm_upper());
  CopyComponent<kHi16Zmm, uint64_t>(xstate, xsave->mutable_hi16_zmm());
  CopyComponent<kPkru, uint32_t>(xstate, xsave->mutable_pkru());
}

}  // namespace

std::vector<TlsSegment> UnusedTlsSegments() {
  // Of what is all zeros the kernel says: not to be written to, and not present.
  constexpr uint32_t kUnused = 1 << 3 | 1 << 5;
  std::vector<TlsSegment> segments;
  for (uint32_t entry = kFirstTls; entry < kFirstTls + kTlsCount; ++entry) {
    segments.push_back({.entry_number = entry, .flags = kUnused});
  }
  return segments;
}

absl::StatusOr<std::vector<TlsSegment>> ReadTlsSegments(pid_t tid) {
  std::vector<TlsSegment> segments;
  for (uint32_t entry = kFirstTls; entry < kFirstTls + kTlsCount; ++entry) {
    user_desc desc = {};
    if (ptrace(static_cast<decltype(PTRACE_CONT)>(PTRACE_GET_THREAD_AREA), tid,
               reinterpret_cast<void*>(static_cast<uintptr_t>(entry)), &desc) < 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("PTRACE_GET_THREAD_AREA of thread ", tid));
    }
    TlsSegment segment{.entry_number = entry, .base = desc.base_addr, .limit = desc.limit};
    static_assert(sizeof desc == 16);
    std::memcpy(&segment.flags, reinterpret_cast<const char*>(&desc) + 12, sizeof segment.flags);
    segments.push_back(segment);
  }
  return segments;
}

absl::Status CheckExtendedState(std::span<const std::byte> xstate) {
  if (xstate.size() < kHeaderEnd) {
    return absl::InternalError(absl::StrCat("extended state of only ", xstate.size(), " bytes"));
  }
  const auto in_use = ValueAt<uint64_t>(xstate, kHeader);
  if ((in_use >> kTileData & 1) != 0 || (in_use >> kTileConfig & 1) != 0) {
    return absl::UnimplementedError("AMX tile registers are in use");
  }
  return absl::OkStatus();
}

image::thread_info_x86 ToThreadInfo(const GeneralRegisters& stopped,
                                    std::span<const std::byte> xstate,
                                    const std::vector<TlsSegment>& tls) {
  image::thread_info_x86 info;
  FillGeneral(stopped, info.mutable_gpregs());
  FillExtended(xstate, info.mutable_fpregs());
  for (const TlsSegment& segment : tls) {
    image::user_desc_t* desc = info.add_tls();
    const auto bit = [&](int n) { return (segment.flags >> n & 1) != 0; };
    desc->set_entry_number(segment.entry_number);
    desc->set_base_addr(segment.base);
    desc->set_limit(segment.limit);
    desc->set_seg_32bit(bit(0));
    desc->set_contents_l(bit(1));
    desc->set_contents_h(bit(2));
    desc->set_read_exec_only(bit(3));
    desc->set_limit_in_pages(bit(4));
    desc->set_seg_not_present(bit(5));
    desc->set_usable(bit(6));
  }
  return info;
}

}  // namespace dumpctl
