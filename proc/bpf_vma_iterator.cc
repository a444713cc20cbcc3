#include "proc/bpf_vma_iterator.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>

#include "absl/status/status.h"
#include "dumpctl/status_macros.h"
#include "proc/bpf_program.h"
#include "proc/btf_parser.h"

namespace dumpctl {
namespace {

// VmaRecord record = {};
// if (context->vma) {
//   record = {vma->vm_start, vma->vm_end, vma->vm_flags, vma->vm_pgoff, 0, 0, vma->vm_ops};
//   if (vma->vm_file) {
//     record.inode = vma->vm_file->f_inode->i_ino;
//     record.device = vma->vm_file->f_inode->i_sb->s_dev;
//   }
// }
// bpf_seq_write(context->meta->seq, &record, sizeof record);
// return 0;
//
// Behind the last mapping the kernel calls it once more, with none: there the record of zeros goes.
constexpr auto Instructions(const VmaIteratorLayout& layout) {
  using namespace bpf;
  constexpr int kRecord = -static_cast<int>(sizeof(VmaRecord));
  constexpr auto kAt = [](size_t offset) { return kRecord + static_cast<int>(offset); };
  constexpr int kStart = kAt(offsetof(VmaRecord, start));
  constexpr int kEnd = kAt(offsetof(VmaRecord, end));
  constexpr int kFlags = kAt(offsetof(VmaRecord, flags));
  constexpr int kPage = kAt(offsetof(VmaRecord, page));
  constexpr int kInode = kAt(offsetof(VmaRecord, inode));
  constexpr int kDevice = kAt(offsetof(VmaRecord, device));
  constexpr int kOperations = kAt(offsetof(VmaRecord, operations));
  return std::array{
      Set(BPF_REG_3, 0),
      Store64(BPF_REG_10, kStart, BPF_REG_3),
      Store64(BPF_REG_10, kEnd, BPF_REG_3),
      Store64(BPF_REG_10, kFlags, BPF_REG_3),
      Store64(BPF_REG_10, kPage, BPF_REG_3),
      Store64(BPF_REG_10, kInode, BPF_REG_3),
      Store64(BPF_REG_10, kDevice, BPF_REG_3),
      Store64(BPF_REG_10, kOperations, BPF_REG_3),
      Load64(BPF_REG_2, BPF_REG_1, layout.context_vma),
      SkipIfZero(BPF_REG_2, 18),
      Load64(BPF_REG_3, BPF_REG_2, layout.vma_start),
      Store64(BPF_REG_10, kStart, BPF_REG_3),
      Load64(BPF_REG_3, BPF_REG_2, layout.vma_end),
      Store64(BPF_REG_10, kEnd, BPF_REG_3),
      Load64(BPF_REG_3, BPF_REG_2, layout.vma_flags),
      Store64(BPF_REG_10, kFlags, BPF_REG_3),
      Load64(BPF_REG_3, BPF_REG_2, layout.vma_page),
      Store64(BPF_REG_10, kPage, BPF_REG_3),
      Load64(BPF_REG_3, BPF_REG_2, layout.vma_operations),
      Store64(BPF_REG_10, kOperations, BPF_REG_3),
      Load64(BPF_REG_2, BPF_REG_2, layout.vma_file),
      SkipIfZero(BPF_REG_2, 6),
      Load64(BPF_REG_2, BPF_REG_2, layout.file_inode),
      Load64(BPF_REG_3, BPF_REG_2, layout.inode_number),
      Store64(BPF_REG_10, kInode, BPF_REG_3),
      Load64(BPF_REG_2, BPF_REG_2, layout.inode_super),
      Load32(BPF_REG_3, BPF_REG_2, layout.super_device),
      Store64(BPF_REG_10, kDevice, BPF_REG_3),
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
      {BtfKind::kStruct, "file"},
      {BtfKind::kStruct, "inode"},
      {BtfKind::kStruct, "super_block"},
  };
  ASSIGN_OR_RETURN(const std::vector<BtfType> types, btf.Find(kNames));
  const BtfType &context = types[1], &meta = types[2], &vma = types[3], &file = types[4],
                &inode = types[5], &super = types[6];
  VmaIteratorLayout layout = {.function = types[0].id};
  struct Field {
    uint32_t* offset;
    const BtfType& type;
    std::string_view member;
  };
  const Field fields[] = {
      {&layout.context_meta, context, "meta"}, {&layout.context_vma, context, "vma"},
      {&layout.meta_seq, meta, "seq"},         {&layout.vma_start, vma, "vm_start"},
      {&layout.vma_end, vma, "vm_end"},        {&layout.vma_flags, vma, "vm_flags"},
      {&layout.vma_page, vma, "vm_pgoff"},     {&layout.vma_operations, vma, "vm_ops"},
      {&layout.vma_file, vma, "vm_file"},      {&layout.file_inode, file, "f_inode"},
      {&layout.inode_number, inode, "i_ino"},  {&layout.inode_super, inode, "i_sb"},
      {&layout.super_device, super, "s_dev"},
  };
  for (const Field& field : fields) {
    ASSIGN_OR_RETURN(*field.offset, btf.OffsetOf(field.type, field.member));
    if (*field.offset > SHRT_MAX) {
      return absl::DataLossError("a field lies farther away than BPF can reach");
    }
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
