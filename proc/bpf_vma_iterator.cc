#include "proc/bpf_vma_iterator.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <tuple>

#include "absl/status/status.h"
#include "dumpctl/status_macros.h"
#include "proc/bpf_program.h"
#include "proc/btf_parser.h"

namespace dumpctl {
namespace {

// VmaRecord record = {0, 0, 0};
// if (context->vma) record = {vma->vm_start, vma->vm_end, vma->vm_flags};
// bpf_seq_write(context->meta->seq, &record, sizeof record);
// return 0;
//
// Behind the last mapping the kernel calls it once more, with none: there the record of zeros goes.
constexpr auto Instructions(const VmaIteratorLayout& layout) {
  using namespace bpf;
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
  ASSIGN_OR_RETURN(UniqueFd program, LoadBpfIterator(layout.function, Instructions(layout)));
  return BpfVmaIterator(std::move(program));
}

absl::StatusOr<UniqueFd> BpfVmaIterator::Attach(pid_t tid) const {
  return AttachBpfIterator(program_, tid);
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
