#include "proc/bpf_aio_contexts.h"

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "dumpctl/status_macros.h"
#include "proc/bpf_program.h"
#include "proc/btf_parser.h"

namespace dumpctl {
namespace {

// What the program hands out of each mapping that is the ring of a context; behind the last mapping
// one of zeros. A number for each processor follows: the requests that may still be made there.
struct Record {
  uint64_t start;
  uint64_t ring;       // where the context says that its ring is
  uint64_t capacity;   // 32 bits
  uint64_t available;  // 32 bits: requests that may still be made anywhere
  uint64_t completed;  // 32 bits: that have ended and do not count as available yet
};

// Where the running kernel keeps what the program reads, in bytes.
struct Layout {
  uint32_t function = 0;  // BTF id of the iterator's attach point
  uint32_t context_meta = 0;
  uint32_t context_vma = 0;
  uint32_t meta_seq = 0;
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

absl::StatusOr<Layout> FindLayout(std::string_view bytes) {
  ASSIGN_OR_RETURN(const Btf btf, Btf::Parse(bytes));
  constexpr BtfName kNames[] = {
      {BtfKind::kFunction, "bpf_iter_task_vma"},
      {BtfKind::kStruct, "bpf_array"},
      {BtfKind::kStruct, "bpf_iter__task_vma"},
      {BtfKind::kStruct, "bpf_iter_meta"},
      {BtfKind::kStruct, "vm_area_struct"},
      {BtfKind::kStruct, "file"},
      {BtfKind::kStruct, "inode"},
      {BtfKind::kStruct, "address_space"},
      {BtfKind::kStruct, "kioctx"},
      {BtfKind::kStruct, "kioctx_cpu"},
  };
  ASSIGN_OR_RETURN(const std::vector<BtfType> types, btf.Find(kNames));
  const BtfType &array = types[1], &context = types[2], &meta = types[3], &vma = types[4],
                &file = types[5], &inode = types[6], &mapping = types[7], &aio = types[8],
                &processor = types[9];
  Layout layout = {.function = types[0].id};
  const std::tuple<uint32_t*, const BtfType&, std::string_view> fields[] = {
      {&layout.context_meta, context, "meta"},
      {&layout.context_vma, context, "vma"},
      {&layout.meta_seq, meta, "seq"},
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
  for (const auto& [place, type, member] : fields) {
    ASSIGN_OR_RETURN(*place, btf.OffsetOf(type, member));
  }
  // Linux 6.8 has given it another name.
  absl::StatusOr<uint32_t> of_owner = btf.OffsetOf(mapping, "i_private_data");
  if (!of_owner.ok()) of_owner = btf.OffsetOf(mapping, "private_data");
  RETURN_IF_ERROR(of_owner.status());
  layout.mapping_private = *of_owner;
  for (const uint32_t place : {layout.context_vma, layout.vma_file, layout.file_inode,
                               layout.inode_mapping, layout.mapping_private}) {
    constexpr uint32_t kFarthest = 30'000;  // a BPF instruction reaches as far
    if (place > kFarthest) return absl::DataLossError("a field lies too far away");
  }
  return layout;
}

// Puts the program together.
class Program {
 public:
  // `scratch` and `own` are maps, the latter of a value for each processor.
  Program(const Layout& layout, int scratch, int own, size_t processors)
      : size_(static_cast<int>(sizeof(Record) + processors * sizeof(uint64_t))) {
    Write(layout, scratch, own, processors);
  }

  std::span<const bpf_insn> instructions() const { return instructions_; }

 private:
  // Registers that calls leave alone.
  static constexpr uint8_t kAio = BPF_REG_6;
  static constexpr uint8_t kVma = BPF_REG_7;
  static constexpr uint8_t kRecord = BPF_REG_8;
  static constexpr uint8_t kContext = BPF_REG_9;
  static constexpr int kKey = -8;       // on the stack
  static constexpr int kPointer = -16;  // on the stack

  void Add(const bpf_insn& instruction) { instructions_.push_back(instruction); }

  void JumpTo(std::vector<size_t>& jumps, const bpf_insn& jump) {
    jumps.push_back(instructions_.size());
    Add(jump);
  }
  void EndIfZero(uint8_t what) { JumpTo(ends_, bpf::SkipIfZero(what, 0)); }
  void Here(const std::vector<size_t>& jumps) {
    for (const size_t jump : jumps) {
      instructions_[jump].off = static_cast<int16_t>(instructions_.size() - jump - 1);
    }
  }

  // The kernel's memory at `from` + `offset` to the record.
  void Fetch(size_t place, int size, uint8_t from, uint32_t offset) {
    Add(bpf::Copy(BPF_REG_3, from));
    Add(bpf::Add(BPF_REG_3, static_cast<int>(offset)));
    FetchAt3(kRecord, static_cast<int>(place), size);
  }
  void FetchAt3(uint8_t to, int place, int size) {
    Add(bpf::Copy(BPF_REG_1, to));
    Add(bpf::Add(BPF_REG_1, place));
    Add(bpf::Set(BPF_REG_2, size));
    Add(bpf::Call(BPF_FUNC_probe_read_kernel));
  }

  void FindRecord(int scratch) {
    Add(bpf::Set(BPF_REG_1, 0));
    Add(bpf::Store64(BPF_REG_10, kKey, BPF_REG_1));
    Add(bpf::Copy(BPF_REG_2, BPF_REG_10));
    Add(bpf::Add(BPF_REG_2, kKey));
    Map(BPF_REG_1, scratch);
    Add(bpf::Call(BPF_FUNC_map_lookup_elem));
    EndIfZero(BPF_REG_0);
    Add(bpf::Copy(kRecord, BPF_REG_0));
    // What of the last ring would stand there.
    Add(bpf::Set(BPF_REG_1, 0));
    for (int place = 0; place < size_; place += 8) Add(bpf::Store64(kRecord, place, BPF_REG_1));
  }

  // What the owner of a mapped file keeps with its pages: of a ring, its context.
  void FindAio(const Layout& layout) {
    Add(bpf::Load64(BPF_REG_1, kVma, layout.vma_start));
    Add(bpf::Store64(kRecord, offsetof(Record, start), BPF_REG_1));
    Add(bpf::Load64(BPF_REG_1, kVma, layout.vma_file));
    EndIfZero(BPF_REG_1);
    Add(bpf::Load64(BPF_REG_1, BPF_REG_1, layout.file_inode));
    EndIfZero(BPF_REG_1);
    Add(bpf::Load64(BPF_REG_1, BPF_REG_1, layout.inode_mapping));
    EndIfZero(BPF_REG_1);
    Add(bpf::Load64(kAio, BPF_REG_1, layout.mapping_private));
    EndIfZero(kAio);
    // Of whatever else, this says something else than where the mapping is.
    Fetch(offsetof(Record, ring), sizeof(uint64_t), kAio, layout.ring);
    Add(bpf::Load64(BPF_REG_1, kRecord, offsetof(Record, ring)));
    Add(bpf::Load64(BPF_REG_2, kRecord, offsetof(Record, start)));
    JumpTo(ends_, {BPF_JMP | BPF_JNE | BPF_X, BPF_REG_1, BPF_REG_2, 0, 0});
  }

  void Map(uint8_t to, int map) {
    Add({BPF_LD | BPF_IMM | BPF_DW, to, BPF_PSEUDO_MAP_FD, 0, map});
    Add({});  // the upper half of that
  }

  void FillRecord(const Layout& layout) {
    Fetch(offsetof(Record, capacity), sizeof(uint32_t), kAio, layout.capacity);
    Fetch(offsetof(Record, available), sizeof(uint32_t), kAio, layout.available);
    Fetch(offsetof(Record, completed), sizeof(uint32_t), kAio, layout.completed);
    Add(bpf::Copy(BPF_REG_3, kAio));
    Add(bpf::Add(BPF_REG_3, static_cast<int>(layout.processors)));
    FetchAt3(BPF_REG_10, kPointer, sizeof(uint64_t));
    Add(bpf::Load64(kAio, BPF_REG_10, static_cast<uint32_t>(kPointer)));
  }

  // Each processor's own memory is as far from where it is said to be as that of any map: the
  // kernel tells nobody how far that is, but where the value of a map is, and is said to be.
  void FillProcessor(const Layout& layout, int own, size_t processor) {
    const int place = static_cast<int>(sizeof(Record) + processor * sizeof(uint64_t));
    // By way of the record addresses become numbers.
    Map(BPF_REG_1, own);
    Add(bpf::Store64(kRecord, place, BPF_REG_1));
    Add(bpf::Load64(BPF_REG_3, kRecord, static_cast<uint32_t>(place)));
    Add(bpf::Add(BPF_REG_3, static_cast<int>(layout.array_elements)));
    FetchAt3(BPF_REG_10, kPointer, sizeof(uint64_t));
    Map(BPF_REG_1, own);
    Add(bpf::Copy(BPF_REG_2, BPF_REG_10));
    Add(bpf::Add(BPF_REG_2, kKey));
    Add(bpf::Set(BPF_REG_3, static_cast<int>(processor)));
    Add(bpf::Call(BPF_FUNC_map_lookup_percpu_elem));
    EndIfZero(BPF_REG_0);
    Add(bpf::Store64(kRecord, place, BPF_REG_0));
    Add(bpf::Load64(BPF_REG_3, kRecord, static_cast<uint32_t>(place)));
    Add(bpf::Load64(BPF_REG_1, BPF_REG_10, static_cast<uint32_t>(kPointer)));
    Add({BPF_ALU64 | BPF_SUB | BPF_X, BPF_REG_3, BPF_REG_1, 0, 0});
    Add({BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_3, kAio, 0, 0});
    Add(bpf::Add(BPF_REG_3, static_cast<int>(layout.available_there)));
    Add(bpf::Set(BPF_REG_1, 0));
    Add(bpf::Store64(kRecord, place, BPF_REG_1));
    FetchAt3(kRecord, place, sizeof(uint32_t));
  }

  void HandOut(const Layout& layout) {
    Add(bpf::Load64(BPF_REG_1, kContext, layout.context_meta));
    Add(bpf::Load64(BPF_REG_1, BPF_REG_1, layout.meta_seq));
    Add(bpf::Copy(BPF_REG_2, kRecord));
    Add(bpf::Set(BPF_REG_3, size_));
    Add(bpf::Call(BPF_FUNC_seq_write));
  }

  void Write(const Layout& layout, int scratch, int own, size_t processors) {
    Add(bpf::Copy(kContext, BPF_REG_1));
    FindRecord(scratch);
    Add(bpf::Load64(kVma, kContext, layout.context_vma));
    std::vector<size_t> behind_the_last;
    JumpTo(behind_the_last, bpf::SkipIfZero(kVma, 0));
    FindAio(layout);
    FillRecord(layout);
    for (size_t i = 0; i < processors; ++i) FillProcessor(layout, own, i);
    Here(behind_the_last);
    HandOut(layout);
    Here(ends_);
    Add(bpf::Set(BPF_REG_0, 0));
    Add(bpf::Return());
  }

  int size_;
  std::vector<bpf_insn> instructions_;
  std::vector<size_t> ends_;
};

absl::StatusOr<AioContext> ContextOf(const Record& record, std::string_view processors) {
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
  ASSIGN_OR_RETURN(const KernelBtf btf, KernelBtf::Open());
  ASSIGN_OR_RETURN(const Layout layout, FindLayout(btf.bytes()));
  ASSIGN_OR_RETURN(
      UniqueFd scratch,
      CreateBpfScratch(static_cast<uint32_t>(sizeof(Record) + processors * sizeof(uint64_t))));
  ASSIGN_OR_RETURN(UniqueFd own, CreateBpfPerProcessor(sizeof(uint64_t)));
  const Program program(layout, scratch.get(), own.get(), processors);
  ASSIGN_OR_RETURN(UniqueFd loaded, LoadBpfIterator(layout.function, program.instructions()));
  return BpfAioContexts(std::move(loaded), processors);
}

absl::StatusOr<std::map<uint64_t, AioContext>> BpfAioContexts::Read(pid_t tid) const {
  ASSIGN_OR_RETURN(const UniqueFd attached, AttachBpfIterator(program_, tid));
  const size_t size = sizeof(Record) + processors_ * sizeof(uint64_t);
  std::map<uint64_t, AioContext> contexts;
  std::string text;
  std::string piece(size_t{8} * 4096, '\0');  // as much as the kernel gives at once
  for (;;) {
    const ssize_t n = read(attached.get(), piece.data(), piece.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return absl::ErrnoToStatus(errno, "reading contexts from a BPF program");
    if (n == 0) return contexts;
    text.append(piece, 0, static_cast<size_t>(n));
    while (text.size() >= size) {
      Record record;
      std::memcpy(&record, text.data(), sizeof record);
      // The kernel may start over behind the last mapping: see BpfVmaIterator.
      if (record.start == 0) return contexts;
      ASSIGN_OR_RETURN(
          contexts[record.start],
          ContextOf(record, std::string_view(text).substr(sizeof record, size - sizeof record)));
      text.erase(0, size);
    }
  }
}

}  // namespace dumpctl
