#include "proc/bpf_vma_iterator.h"

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "dumpctl/status_macros.h"
#include "proc/bpf_program.h"
#include "proc/btf_parser.h"
#include "proc/kept_layout.h"

namespace dumpctl {
namespace {

// A member of a VmaRecord: where the program puts something, and how much.
#define PLACE(member) offsetof(VmaRecord, member), sizeof(VmaRecord::member)

// Puts the program together.
class VmaAssembler : BpfStackAssembler<VmaRecord> {
 public:
  static std::vector<bpf_insn> Write(const VmaIteratorLayout& layout) {
    VmaAssembler program;
    program.Add(bpf::Copy(kContext, BPF_REG_1));
    program.Clear();
    program.Add(bpf::Load64(kVma, kContext, layout.context_vma));
    program.LoadSequence(kSequence, layout.context, kContext);
    // Behind the last mapping the kernel calls it once more, with none: there the record of zeros
    // goes.
    program.EndIfZero(kVma);
    program.FillFromVma(layout);
    program.FillFromFile(layout);
    program.EndHere();
    program.HandOutBy(kSequence, BPF_REG_10, kRecord, sizeof(VmaRecord));
    return std::move(program).Finish();
  }

 private:
  static constexpr uint8_t kPointed = BPF_REG_7;
  static constexpr uint8_t kVma = BPF_REG_8;
  static constexpr uint8_t kContext = BPF_REG_9;
  static constexpr uint8_t kSequence = BPF_REG_9;  // from LoadSequence on

  void FillFromVma(const VmaIteratorLayout& layout) {
    LoadField(PLACE(start), kVma, layout.vma_start);
    LoadField(PLACE(end), kVma, layout.vma_end);
    LoadField(PLACE(flags), kVma, layout.vma_flags);
    LoadField(PLACE(page), kVma, layout.vma_page);
    LoadField(PLACE(operations), kVma, layout.vma_operations);
    LoadField(PLACE(anon_memory), kVma, layout.vma_anon_memory);
    if (layout.vma_anon_name != 0) LoadField(PLACE(anon_name), kVma, layout.vma_anon_name);
    LoadPointer(kPointed, kVma, layout.vma_memory);
    LoadField(PLACE(mappings), kPointed, layout.mappings);
    LoadField(PLACE(heap_start), kPointed, layout.heap_start);
    LoadField(PLACE(heap_end), kPointed, layout.heap_end);
    LoadField(PLACE(stack), kPointed, layout.stack);
  }

  void FillFromFile(const VmaIteratorLayout& layout) {
    LoadPointer(kPointed, kVma, layout.vma_file);
    LoadField(PLACE(dentry), kPointed, layout.file_path + layout.path_dentry);
    LoadField(PLACE(mount), kPointed, layout.file_path + layout.path_mount);
    LoadPointer(kPointed, kPointed, layout.file_inode);
    LoadField(PLACE(inode), kPointed, layout.inode_number);
    LoadPointer(kPointed, kPointed, layout.inode_super);
    LoadField(PLACE(device), kPointed, layout.super_device);
  }
};

#undef PLACE

}  // namespace

absl::StatusOr<VmaIteratorLayout> FindVmaIteratorLayout(std::string_view bytes) {
  ASSIGN_OR_RETURN(Btf btf, Btf::Parse(bytes));
  constexpr BtfName kNames[] = {
      {BtfKind::kStruct, "vm_area_struct"}, {BtfKind::kStruct, "mm_struct"},
      {BtfKind::kStruct, "file"},           {BtfKind::kStruct, "inode"},
      {BtfKind::kStruct, "super_block"},
  };
  ASSIGN_OR_RETURN(const BpfIterator iterator, FindBpfIterator(btf, "task_vma", kNames));
  const std::vector<BtfType>& types = iterator.others;
  const BtfType &context = iterator.context, &vma = types[0], &memory = types[1], &file = types[2],
                &inode = types[3], &super = types[4];
  ASSIGN_OR_RETURN(const BtfType path, btf.StructOf(file, "f_path"));
  VmaIteratorLayout layout = {.function = iterator.function, .context = iterator.layout};
  const BtfField fields[] = {
      {&layout.context_vma, context, "vma"},     {&layout.vma_start, vma, "vm_start"},
      {&layout.vma_end, vma, "vm_end"},          {&layout.vma_flags, vma, "vm_flags"},
      {&layout.vma_page, vma, "vm_pgoff"},       {&layout.vma_operations, vma, "vm_ops"},
      {&layout.vma_file, vma, "vm_file"},        {&layout.vma_anon_memory, vma, "anon_vma"},
      {&layout.vma_memory, vma, "vm_mm"},        {&layout.mappings, memory, "map_count"},
      {&layout.heap_start, memory, "start_brk"}, {&layout.heap_end, memory, "brk"},
      {&layout.stack, memory, "start_stack"},    {&layout.file_path, file, "f_path"},
      {&layout.path_dentry, path, "dentry"},     {&layout.path_mount, path, "mnt"},
      {&layout.file_inode, file, "f_inode"},     {&layout.inode_number, inode, "i_ino"},
      {&layout.inode_super, inode, "i_sb"},      {&layout.super_device, super, "s_dev"},
  };
  RETURN_IF_ERROR(FindFields(btf, fields));
  // CONFIG_ANON_VMA_NAME, Linux 5.17.
  const BtfField name[] = {{&layout.vma_anon_name, vma, "anon_name"}};
  const absl::Status named = FindFields(btf, name);
  if (!named.ok() && !absl::IsNotFound(named)) return named;
  return layout;
}

absl::StatusOr<BpfVmaIterator> BpfVmaIterator::Load() {
  ASSIGN_OR_RETURN(const VmaIteratorLayout layout, KeptLayout("mappings", FindVmaIteratorLayout));
  ASSIGN_OR_RETURN(UniqueFd program, LoadBpfIterator(layout.function, VmaAssembler::Write(layout)));
  return BpfVmaIterator(std::move(program));
}

absl::StatusOr<UniqueFd> BpfVmaIterator::Attach(pid_t tid) const {
  return AttachBpfIterator(program_, tid);
}

absl::Status BpfVmaIterator::Read(const UniqueFd& attached,
                                  absl::FunctionRef<absl::Status(const VmaRecord&)> take) {
  // As much as the kernel gives at once.
  VmaRecord records[size_t{8} * 4096 / sizeof(VmaRecord)];
  uint64_t end = 0;
  for (;;) {
    const ssize_t n = read(attached.get(), records, sizeof records);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return absl::ErrnoToStatus(errno, "reading mappings from a BPF program");
    if (n == 0) return absl::OkStatus();
    if (static_cast<size_t>(n) % sizeof(VmaRecord) != 0) {
      return absl::DataLossError("a BPF program gave part of a mapping");
    }
    for (const VmaRecord& record : std::span(records, static_cast<size_t>(n) / sizeof(VmaRecord))) {
      // Kernel trap: behind the last mapping of one task Linux 6.18 starts over with the last piece
      // of what it gave, again and again, and never says that this was all. So what ends the
      // mappings is the record of zeros, or, where that found no room, one that lies not above the
      // one before.
      if (record.end == 0 || record.start < end) return absl::OkStatus();
      end = record.end;
      RETURN_IF_ERROR(take(record));
    }
  }
}

}  // namespace dumpctl
