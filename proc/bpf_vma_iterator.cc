#include "proc/bpf_vma_iterator.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <memory>
#include <tuple>

#include "absl/status/status.h"
#include "dumpctl/status_macros.h"
#include "proc/btf_parser.h"

namespace dumpctl {
namespace {

constexpr char kKernelBtf[] = "/sys/kernel/btf/vmlinux";

// The kernel lends the one function that is called below to programs under such a licence alone;
// these instructions, and nothing else of this project, are under it.
constexpr char kLicence[] = "Dual BSD/GPL";

int Bpf(bpf_cmd command, bpf_attr& attr) {
  return static_cast<int>(syscall(SYS_bpf, command, &attr, sizeof attr));
}

// The bytes of the kernel's BTF.
class KernelBtf {
 public:
  static absl::StatusOr<KernelBtf> Open() {
    const UniqueFd file(open(kKernelBtf, O_RDONLY | O_CLOEXEC));
    struct stat stat = {};
    if (!file || fstat(file.get(), &stat) < 0) return absl::ErrnoToStatus(errno, kKernelBtf);
    KernelBtf btf;
    btf.size_ = static_cast<size_t>(stat.st_size);
    // Linux 6.16 lets it be mapped, which costs nothing; else there are 5 MB to be copied.
    btf.mapped_ = mmap(nullptr, btf.size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (btf.mapped_ == MAP_FAILED) RETURN_IF_ERROR(btf.Read(file));
    return btf;
  }

  KernelBtf(KernelBtf&& other) noexcept
      : size_(other.size_),
        mapped_(std::exchange(other.mapped_, MAP_FAILED)),
        read_(std::move(other.read_)) {}
  KernelBtf& operator=(KernelBtf&&) = delete;
  ~KernelBtf() {
    if (mapped_ != MAP_FAILED) munmap(mapped_, size_);
  }

  std::string_view bytes() const {
    return {mapped_ == MAP_FAILED ? read_.get() : static_cast<const char*>(mapped_), size_};
  }

 private:
  KernelBtf() = default;

  absl::Status Read(const UniqueFd& file) {
    read_ = std::make_unique_for_overwrite<char[]>(size_);
    for (size_t used = 0; used < size_;) {
      const ssize_t n = read(file.get(), read_.get() + used, size_ - used);
      if (n < 0) return absl::ErrnoToStatus(errno, kKernelBtf);
      if (n == 0) return absl::DataLossError("the kernel's BTF ends early");
      used += static_cast<size_t>(n);
    }
    return absl::OkStatus();
  }

  size_t size_ = 0;
  void* mapped_ = MAP_FAILED;
  std::unique_ptr<char[]> read_;
};

// --- Instructions (Documentation/bpf/standardization/instruction-set.rst).

constexpr bpf_insn Load64(uint8_t to, uint8_t base, uint32_t offset) {
  return {BPF_LDX | BPF_MEM | BPF_DW, to, base, static_cast<int16_t>(offset), 0};
}
constexpr bpf_insn Store64(uint8_t base, int offset, uint8_t from) {
  return {BPF_STX | BPF_MEM | BPF_DW, base, from, static_cast<int16_t>(offset), 0};
}
constexpr bpf_insn Copy(uint8_t to, uint8_t from) {
  return {BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0};
}
constexpr bpf_insn Set(uint8_t to, int value) {
  return {BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value};
}
constexpr bpf_insn Add(uint8_t to, int value) {
  return {BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value};
}
constexpr bpf_insn SkipIfZero(uint8_t what, int instructions) {
  return {BPF_JMP | BPF_JEQ | BPF_K, what, 0, static_cast<int16_t>(instructions), 0};
}
constexpr bpf_insn Call(int function) { return {BPF_JMP | BPF_CALL, 0, 0, 0, function}; }
constexpr bpf_insn Return() { return {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}; }

// VmaRecord record = {0, 0, 0};
// if (context->vma) record = {vma->vm_start, vma->vm_end, vma->vm_flags};
// bpf_seq_write(context->meta->seq, &record, sizeof record);
// return 0;
//
// Behind the last mapping the kernel calls it once more, with none: there the record of zeros goes.
constexpr auto Instructions(const VmaIteratorLayout& layout) {
  constexpr int kRecord = -static_cast<int>(sizeof(VmaRecord));
  constexpr int kStart = kRecord + static_cast<int>(offsetof(VmaRecord, start));
  constexpr int kEnd = kRecord + static_cast<int>(offsetof(VmaRecord, end));
  constexpr int kFlags = kRecord + static_cast<int>(offsetof(VmaRecord, flags));
  return std::array{
      Set(BPF_REG_3, 0),
      Store64(BPF_REG_10, kStart, BPF_REG_3),
      Store64(BPF_REG_10, kEnd, BPF_REG_3),
      Store64(BPF_REG_10, kFlags, BPF_REG_3),
      Load64(BPF_REG_2, BPF_REG_1, layout.context_vma),
      SkipIfZero(BPF_REG_2, 6),
      Load64(BPF_REG_3, BPF_REG_2, layout.vma_start),
      Store64(BPF_REG_10, kStart, BPF_REG_3),
      Load64(BPF_REG_3, BPF_REG_2, layout.vma_end),
      Store64(BPF_REG_10, kEnd, BPF_REG_3),
      Load64(BPF_REG_3, BPF_REG_2, layout.vma_flags),
      Store64(BPF_REG_10, kFlags, BPF_REG_3),
      Load64(BPF_REG_1, BPF_REG_1, layout.context_meta),
      Load64(BPF_REG_1, BPF_REG_1, layout.meta_seq),
      Copy(BPF_REG_2, BPF_REG_10),
      Add(BPF_REG_2, kRecord),
      Set(BPF_REG_3, sizeof(VmaRecord)),
      Call(BPF_FUNC_seq_write),
      Set(BPF_REG_0, 0),
      Return(),
  };
}

// Kernel trap: behind the last mapping of one task Linux 6.18 starts over with the last piece of
// what it gave, again and again, and never says that this was all. So what ends the mappings is the
// record of zeros, or, where that found no room, one that lies not above the one before.
size_t CountUntilEnd(const std::vector<VmaRecord>& records, size_t first, size_t used) {
  for (size_t i = first; i < used; ++i) {
    if (records[i].end == 0 || (i > 0 && records[i].start < records[i - 1].end)) return i;
  }
  return used;
}

}  // namespace

absl::StatusOr<VmaIteratorLayout> FindVmaIteratorLayout(std::string_view bytes) {
  ASSIGN_OR_RETURN(const Btf btf, Btf::Parse(bytes));
  constexpr BtfName kNames[] = {
      {BtfKind::kFunction, "bpf_iter_task_vma"},
      {BtfKind::kStruct, "bpf_iter__task_vma"},
      {BtfKind::kStruct, "bpf_iter_meta"},
      {BtfKind::kStruct, "vm_area_struct"},
  };
  ASSIGN_OR_RETURN(const std::vector<BtfType> types, btf.Find(kNames));
  const auto& [context, meta, vma] = std::tie(types[1], types[2], types[3]);
  VmaIteratorLayout layout = {.function = types[0].id};
  ASSIGN_OR_RETURN(layout.context_meta, btf.OffsetOf(context, "meta"));
  ASSIGN_OR_RETURN(layout.context_vma, btf.OffsetOf(context, "vma"));
  ASSIGN_OR_RETURN(layout.meta_seq, btf.OffsetOf(meta, "seq"));
  ASSIGN_OR_RETURN(layout.vma_start, btf.OffsetOf(vma, "vm_start"));
  ASSIGN_OR_RETURN(layout.vma_end, btf.OffsetOf(vma, "vm_end"));
  ASSIGN_OR_RETURN(layout.vma_flags, btf.OffsetOf(vma, "vm_flags"));
  const uint32_t farthest = std::max({layout.context_meta, layout.context_vma, layout.meta_seq,
                                      layout.vma_start, layout.vma_end, layout.vma_flags});
  if (farthest > SHRT_MAX) {
    return absl::DataLossError("a field lies farther away than BPF can reach");
  }
  return layout;
}

absl::StatusOr<BpfVmaIterator> BpfVmaIterator::Load() {
  ASSIGN_OR_RETURN(const KernelBtf btf, KernelBtf::Open());
  ASSIGN_OR_RETURN(const VmaIteratorLayout layout, FindVmaIteratorLayout(btf.bytes()));
  const auto instructions = Instructions(layout);
  bpf_attr attr = {};
  attr.prog_type = BPF_PROG_TYPE_TRACING;
  attr.expected_attach_type = BPF_TRACE_ITER;
  attr.attach_btf_id = layout.function;
  attr.insns = reinterpret_cast<uint64_t>(instructions.data());
  attr.insn_cnt = instructions.size();
  attr.license = reinterpret_cast<uint64_t>(kLicence);
  UniqueFd program(Bpf(BPF_PROG_LOAD, attr));
  if (!program) return absl::ErrnoToStatus(errno, "loading a BPF program");
  return BpfVmaIterator(std::move(program));
}

absl::StatusOr<UniqueFd> BpfVmaIterator::Attach(pid_t tid) const {
  bpf_iter_link_info info = {};
  info.task.tid = static_cast<uint32_t>(tid);
  bpf_attr attr = {};
  attr.link_create.prog_fd = static_cast<uint32_t>(program_.get());
  attr.link_create.attach_type = BPF_TRACE_ITER;
  attr.link_create.iter_info = reinterpret_cast<uint64_t>(&info);
  attr.link_create.iter_info_len = sizeof info;
  const UniqueFd link(Bpf(BPF_LINK_CREATE, attr));
  if (!link) return absl::ErrnoToStatus(errno, "attaching a BPF program");
  attr = {};
  attr.iter_create.link_fd = static_cast<uint32_t>(link.get());
  UniqueFd attached(Bpf(BPF_ITER_CREATE, attr));
  if (!attached) return absl::ErrnoToStatus(errno, "starting a BPF program");
  return attached;
}

absl::StatusOr<std::vector<VmaRecord>> BpfVmaIterator::Read(const UniqueFd& attached) {
  // As much as the kernel gives at once.
  constexpr size_t kMost = size_t{8} * 4096 / sizeof(VmaRecord);
  std::vector<VmaRecord> records;
  size_t used = 0;
  for (;;) {
    records.resize(used + kMost);
    const ssize_t n = read(attached.get(), records.data() + used, kMost * sizeof(VmaRecord));
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return absl::ErrnoToStatus(errno, "reading mappings from a BPF program");
    if (static_cast<size_t>(n) % sizeof(VmaRecord) != 0) {
      return absl::DataLossError("a BPF program gave part of a mapping");
    }
    const size_t given = used + static_cast<size_t>(n) / sizeof(VmaRecord);
    used = CountUntilEnd(records, used, given);
    if (n > 0 && used == given) continue;
    records.resize(used);
    return records;
  }
}

}  // namespace dumpctl
