#include "proc/bpf_aio_contexts.h"

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "dumpctl/status_macros.h"
#include "proc/bpf_assembler.h"
#include "proc/bpf_program.h"
#include "proc/btf_parser.h"
#include "proc/kept_layout.h"

namespace dumpctl {
namespace {

// What the program hands out of each mapping that is the ring of a context; behind the last mapping
// one of zeros. A number for each processor follows: the requests that may still be made there.
struct AioRecord {
  uint64_t start;
  uint64_t ring;       // where the context says that its ring is
  uint64_t capacity;   // 32 bits
  uint64_t available;  // 32 bits: requests that may still be made anywhere
  uint64_t completed;  // 32 bits: that have ended and do not count as available yet
};

// Where the running kernel keeps what the program reads, in bytes.
struct AioLayout {
  uint32_t function = 0;  // BTF id of the iterator's attach point
  BpfContextLayout context;
  uint32_t context_vma = 0;
  uint32_t vma_start = 0;
  uint32_t vma_file = 0;
  uint32_t file_inode = 0;
  uint32_t inode_mapping = 0;
  uint32_t mapping_private = 0;
  uint32_t ring = 0;
  uint32_t capacity = 0;
  uint32_t available = 0;
  uint32_t completed = 0;
  uint32_t processors = 0;
  uint32_t available_there = 0;
  uint32_t array_elements = 0;
};

absl::StatusOr<AioLayout> FindAioLayout(std::string_view bytes) {
  ASSIGN_OR_RETURN(Btf btf, Btf::Parse(bytes));
  constexpr BtfName kNames[] = {
      {BtfKind::kStruct, "bpf_array"},     {BtfKind::kStruct, "vm_area_struct"},
      {BtfKind::kStruct, "file"},          {BtfKind::kStruct, "inode"},
      {BtfKind::kStruct, "address_space"}, {BtfKind::kStruct, "kioctx"},
      {BtfKind::kStruct, "kioctx_cpu"},
  };
  ASSIGN_OR_RETURN(const BpfIterator iterator, FindBpfIterator(btf, "task_vma", kNames));
  const std::vector<BtfType>& types = iterator.others;
  const BtfType &array = types[0], &vma = types[1], &file = types[2], &inode = types[3],
                &mapping = types[4], &aio = types[5], &processor = types[6];
  AioLayout layout = {.function = iterator.function, .context = iterator.layout};
  const BtfField fields[] = {
      {&layout.context_vma, iterator.context, "vma"},
      {&layout.vma_start, vma, "vm_start"},
      {&layout.vma_file, vma, "vm_file"},
      {&layout.file_inode, file, "f_inode"},
      {&layout.inode_mapping, inode, "i_mapping"},
      {&layout.ring, aio, "user_id"},
      {&layout.capacity, aio, "nr_events"},
      {&layout.available, aio, "reqs_available"},
      {&layout.completed, aio, "completed_events"},
      {&layout.processors, aio, "cpu"},
      {&layout.available_there, processor, "reqs_available"},
      {&layout.array_elements, array, "pptrs"},
  };
  RETURN_IF_ERROR(FindFields(btf, fields));
  // Linux 6.8 has given it another name.
  const BtfField names[] = {{&layout.mapping_private, mapping, "i_private_data"},
                            {&layout.mapping_private, mapping, "private_data"}};
  if (FindFields(btf, std::span(names).first(1)).ok()) return layout;
  RETURN_IF_ERROR(FindFields(btf, std::span(names).last(1)));
  return layout;
}

// Puts the program together.
class AioProgram : BpfAssembler {
 public:
  // `scratch` and `own` are maps, the latter of a value for each processor.
  static std::vector<bpf_insn> Write(const AioLayout& layout, int scratch, int own,
                                     size_t processors) {
    const size_t size = sizeof(AioRecord) + processors * sizeof(uint64_t);
    AioProgram program;
    program.Add(bpf::Copy(kContext, BPF_REG_1));
    program.FindRecord(scratch, size);
    program.Add(bpf::Load64(kVma, kContext, layout.context_vma));
    std::vector<size_t> behind_the_last;
    program.JumpTo(behind_the_last, bpf::SkipIfZero(kVma, 0));
    program.FindAio(layout);
    program.FillRecord(layout);
    for (size_t i = 0; i < processors; ++i) program.FillProcessor(layout, own, i);
    program.Here(behind_the_last);
    program.HandOut(layout.context, kContext, kRecord, 0, size);
    return std::move(program).Finish();
  }

 private:
  // Registers that calls leave alone.
  static constexpr uint8_t kAio = BPF_REG_6;
  static constexpr uint8_t kVma = BPF_REG_7;
  static constexpr uint8_t kRecord = BPF_REG_8;
  static constexpr uint8_t kContext = BPF_REG_9;

  // The kernel's memory at `from` + `offset` to the record.
  void FetchField(size_t place, size_t size, uint8_t from, uint32_t offset) {
    Fetch(kRecord, static_cast<int>(place), size, from, offset);
  }

  void FindRecord(int scratch, size_t size) {
    FindValue(kRecord, scratch);
    // What of the last ring would stand there.
    Add(bpf::Set(BPF_REG_1, 0));
    for (size_t place = 0; place < size; place += 8) {
      Add(bpf::Store64(kRecord, static_cast<int>(place), BPF_REG_1));
    }
  }

  // What the owner of a mapped file keeps with its pages: of a ring, its context.
  void FindAio(const AioLayout& layout) {
    Add(bpf::Load64(BPF_REG_1, kVma, layout.vma_start));
    Add(bpf::Store64(kRecord, offsetof(AioRecord, start), BPF_REG_1));
    Add(bpf::Load64(BPF_REG_1, kVma, layout.vma_file));
    EndIfZero(BPF_REG_1);
    Add(bpf::Load64(BPF_REG_1, BPF_REG_1, layout.file_inode));
    EndIfZero(BPF_REG_1);
    Add(bpf::Load64(BPF_REG_1, BPF_REG_1, layout.inode_mapping));
    EndIfZero(BPF_REG_1);
    Add(bpf::Load64(kAio, BPF_REG_1, layout.mapping_private));
    EndIfZero(kAio);
    // Of whatever else, this says something else than where the mapping is.
    FetchField(offsetof(AioRecord, ring), sizeof(uint64_t), kAio, layout.ring);
    Add(bpf::Load64(BPF_REG_1, kRecord, offsetof(AioRecord, ring)));
    Add(bpf::Load64(BPF_REG_2, kRecord, offsetof(AioRecord, start)));
    EndIf({BPF_JMP | BPF_JNE | BPF_X, BPF_REG_1, BPF_REG_2, 0, 0});
  }

  void FillRecord(const AioLayout& layout) {
    FetchField(offsetof(AioRecord, capacity), sizeof(uint32_t), kAio, layout.capacity);
    FetchField(offsetof(AioRecord, available), sizeof(uint32_t), kAio, layout.available);
    FetchField(offsetof(AioRecord, completed), sizeof(uint32_t), kAio, layout.completed);
    Add(bpf::Copy(BPF_REG_3, kAio));
    Add(bpf::Add(BPF_REG_3, static_cast<int>(layout.processors)));
    FetchAt3(BPF_REG_10, kPointer, sizeof(uint64_t));
    Add(bpf::Load64(kAio, BPF_REG_10, static_cast<uint32_t>(kPointer)));
  }

  // Each processor's own memory is as far from where it is said to be as that of any map: the
  // kernel tells nobody how far that is, but where the value of a map is, and is said to be.
  void FillProcessor(const AioLayout& layout, int own, size_t processor) {
    const int place = static_cast<int>(sizeof(AioRecord) + processor * sizeof(uint64_t));
    // By way of the record addresses become numbers.
    LoadMap(BPF_REG_1, own);
    Add(bpf::Store64(kRecord, place, BPF_REG_1));
    Add(bpf::Load64(BPF_REG_3, kRecord, static_cast<uint32_t>(place)));
    Add(bpf::Add(BPF_REG_3, static_cast<int>(layout.array_elements)));
    FetchAt3(BPF_REG_10, kPointer, sizeof(uint64_t));
    LoadMap(BPF_REG_1, own);
    Add(bpf::Copy(BPF_REG_2, BPF_REG_10));
    Add(bpf::Add(BPF_REG_2, kKey));
    Add(bpf::Set(BPF_REG_3, static_cast<int>(processor)));
    Add(bpf::Call(BPF_FUNC_map_lookup_percpu_elem));
    EndIfZero(BPF_REG_0);
    Add(bpf::Store64(kRecord, place, BPF_REG_0));
    Add(bpf::Load64(BPF_REG_3, kRecord, static_cast<uint32_t>(place)));
    Add(bpf::Load64(BPF_REG_1, BPF_REG_10, static_cast<uint32_t>(kPointer)));
    Add({BPF_ALU64 | BPF_SUB | BPF_X, BPF_REG_3, BPF_REG_1, 0, 0});
    Add(bpf::AddRegister(BPF_REG_3, kAio));
    Add(bpf::Add(BPF_REG_3, static_cast<int>(layout.available_there)));
    Add(bpf::Set(BPF_REG_1, 0));
    Add(bpf::Store64(kRecord, place, BPF_REG_1));
    FetchAt3(kRecord, place, sizeof(uint32_t));
  }
};

absl::StatusOr<AioContext> ContextOf(const AioRecord& record, std::string_view processors) {
  uint64_t idle = record.available + record.completed;
  for (size_t at = 0; at < processors.size(); at += sizeof(uint64_t)) {
    uint64_t there = 0;
    std::memcpy(&there, processors.data() + at, sizeof there);
    idle += there;
  }
  if (record.capacity == 0 || idle >= record.capacity) {
    return absl::DataLossError("a context of asynchronous I/O does not add up");
  }
  return AioContext{static_cast<uint32_t>(record.capacity),
                    static_cast<uint32_t>(record.capacity - 1 - idle)};
}

}  // namespace

absl::StatusOr<BpfAioContexts> BpfAioContexts::Load() {
  const long configured = sysconf(_SC_NPROCESSORS_CONF);
  if (configured <= 0) return absl::ErrnoToStatus(errno, "counting processors");
  const auto processors = static_cast<size_t>(configured);
  ASSIGN_OR_RETURN(const AioLayout layout, KeptLayout("aio", FindAioLayout));
  ASSIGN_OR_RETURN(
      UniqueFd scratch,
      CreateBpfScratch(static_cast<uint32_t>(sizeof(AioRecord) + processors * sizeof(uint64_t))));
  ASSIGN_OR_RETURN(UniqueFd own, CreateBpfPerProcessor(sizeof(uint64_t)));
  const std::vector<bpf_insn> program =
      AioProgram::Write(layout, scratch.get(), own.get(), processors);
  ASSIGN_OR_RETURN(UniqueFd loaded, LoadBpfIterator(layout.function, program));
  return BpfAioContexts(std::move(loaded), processors);
}

absl::StatusOr<std::map<uint64_t, AioContext>> BpfAioContexts::Read(pid_t tid) const {
  ASSIGN_OR_RETURN(const UniqueFd attached, AttachBpfIterator(program_, tid));
  const size_t size = sizeof(AioRecord) + processors_ * sizeof(uint64_t);
  std::map<uint64_t, AioContext> contexts;
  RETURN_IF_ERROR(
      ReadBpfRecords(attached, size, [&contexts](std::string_view bytes) -> absl::StatusOr<bool> {
        AioRecord record;
        std::memcpy(&record, bytes.data(), sizeof record);
        // The kernel may start over behind the last mapping: see BpfVmaIterator.
        if (record.start == 0) return false;
        ASSIGN_OR_RETURN(contexts[record.start], ContextOf(record, bytes.substr(sizeof record)));
        return true;
      }));
  return contexts;
}

}  // namespace dumpctl
