#include "proc/bpf_terminal_queues.h"

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <tuple>

#include "absl/status/status.h"
#include "dumpctl/status_macros.h"
#include "proc/bpf_program.h"
#include "proc/btf_parser.h"

namespace dumpctl {
namespace {

constexpr size_t kQueueSize = 4096;  // N_TTY_BUF_SIZE

// What the program hands out of each terminal. The last four are from the head of the buffer
// between the writer and the line discipline.
struct Record {
  uint64_t fd;
  uint64_t read_head;  // these count on for ever; their lower bits are places in the queue
  uint64_t read_tail;
  uint64_t echo_head;
  uint64_t echo_tail;
  uint64_t buffer_head;
  uint64_t buffer_tail;
  int32_t committed;
  int32_t taken;
  uint8_t ends[kQueueSize / 8];
  uint8_t bytes[kQueueSize];
};
static_assert(sizeof(Record) % 8 == 0);

// Where the running kernel keeps what the program reads, in bytes.
struct Layout {
  uint32_t function = 0;  // BTF id of the iterator's attach point
  uint32_t context_meta = 0;
  uint32_t context_fd = 0;
  uint32_t context_file = 0;
  uint32_t meta_seq = 0;
  uint32_t file_inode = 0;
  uint32_t file_private = 0;
  uint32_t inode_rdev = 0;
  uint32_t private_tty = 0;
  uint32_t tty_port = 0;
  uint32_t tty_discipline = 0;
  uint32_t port_buffer_head = 0;
  uint32_t port_buffer_tail = 0;
  uint32_t buffer_commit = 0;
  uint32_t buffer_read = 0;
  uint32_t read_head = 0;
  uint32_t read_tail = 0;
  uint32_t echo_head = 0;
  uint32_t echo_tail = 0;
  uint32_t read_flags = 0;
  uint32_t read_buffer = 0;
};

absl::StatusOr<Layout> FindLayout(std::string_view bytes) {
  ASSIGN_OR_RETURN(const Btf btf, Btf::Parse(bytes));
  constexpr BtfName kNames[] = {
      {BtfKind::kFunction, "bpf_iter_task_file"},
      {BtfKind::kStruct, "bpf_iter__task_file"},
      {BtfKind::kStruct, "bpf_iter_meta"},
      {BtfKind::kStruct, "file"},
      {BtfKind::kStruct, "inode"},
      {BtfKind::kStruct, "tty_file_private"},
      {BtfKind::kStruct, "tty_struct"},
      {BtfKind::kStruct, "tty_port"},
      {BtfKind::kStruct, "tty_bufhead"},
      {BtfKind::kStruct, "tty_buffer"},
      {BtfKind::kStruct, "n_tty_data"},
  };
  ASSIGN_OR_RETURN(const std::vector<BtfType> types, btf.Find(kNames));
  const BtfType &context = types[1], &meta = types[2], &file = types[3], &inode = types[4],
                &file_private = types[5], &tty = types[6], &port = types[7], &head = types[8],
                &buffer = types[9], &discipline = types[10];
  Layout layout = {.function = types[0].id};
  const std::tuple<uint32_t*, const BtfType&, std::string_view> fields[] = {
      {&layout.context_meta, context, "meta"},
      {&layout.context_fd, context, "fd"},
      {&layout.context_file, context, "file"},
      {&layout.meta_seq, meta, "seq"},
      {&layout.file_inode, file, "f_inode"},
      {&layout.file_private, file, "private_data"},
      {&layout.inode_rdev, inode, "i_rdev"},
      {&layout.private_tty, file_private, "tty"},
      {&layout.tty_port, tty, "port"},
      {&layout.tty_discipline, tty, "disc_data"},
      {&layout.port_buffer_head, head, "head"},
      {&layout.port_buffer_tail, head, "tail"},
      {&layout.buffer_commit, buffer, "commit"},
      {&layout.buffer_read, buffer, "read"},
      {&layout.read_head, discipline, "read_head"},
      {&layout.read_tail, discipline, "read_tail"},
      {&layout.echo_head, discipline, "echo_head"},
      {&layout.echo_tail, discipline, "echo_tail"},
      {&layout.read_flags, discipline, "read_flags"},
      {&layout.read_buffer, discipline, "read_buf"},
  };
  for (const auto& [place, type, member] : fields) {
    ASSIGN_OR_RETURN(*place, btf.OffsetOf(type, member));
    constexpr uint32_t kFarthest = 30'000;  // a BPF instruction reaches as far
    if (*place > kFarthest) return absl::DataLossError("a field lies too far away");
  }
  ASSIGN_OR_RETURN(const uint32_t buffers, btf.OffsetOf(port, "buf"));
  layout.port_buffer_head += buffers;
  layout.port_buffer_tail += buffers;
  return layout;
}

// Puts the program together. What is jumped over lies behind, so that all jumps go to the end.
class Program {
 public:
  Program(const Layout& layout, int scratch) { Write(layout, scratch); }

  std::span<const bpf_insn> instructions() const { return instructions_; }

 private:
  // Registers that calls leave alone.
  static constexpr uint8_t kPort = BPF_REG_6;
  static constexpr uint8_t kTerminal = BPF_REG_7;
  static constexpr uint8_t kRecord = BPF_REG_8;
  static constexpr uint8_t kContext = BPF_REG_9;
  static constexpr int kKey = -8;       // on the stack
  static constexpr int kPointer = -16;  // on the stack

  void Add(const bpf_insn& instruction) { instructions_.push_back(instruction); }

  void EndIf(const bpf_insn& jump) {
    ends_.push_back(instructions_.size());
    Add(jump);
  }
  void EndIfZero(uint8_t what) { EndIf(bpf::SkipIfZero(what, 0)); }

  // The kernel's memory at `from` + `offset` to `to` + `place`; where there is none, zeros.
  void Fetch(uint8_t to, int place, int size, uint8_t from, uint32_t offset) {
    Add(bpf::Copy(BPF_REG_1, to));
    Add(bpf::Add(BPF_REG_1, place));
    Add(bpf::Set(BPF_REG_2, size));
    Add(bpf::Copy(BPF_REG_3, from));
    Add(bpf::Add(BPF_REG_3, static_cast<int>(offset)));
    Add(bpf::Call(BPF_FUNC_probe_read_kernel));
  }
  void FetchPointer(uint8_t to, uint8_t from, uint32_t offset) {
    Fetch(BPF_REG_10, kPointer, sizeof(uint64_t), from, offset);
    Add(bpf::Load64(to, BPF_REG_10, static_cast<uint32_t>(kPointer)));
    EndIfZero(to);
  }
  void FetchField(size_t place, size_t size, uint8_t from, uint32_t offset) {
    Fetch(kRecord, static_cast<int>(place), static_cast<int>(size), from, offset);
  }

  void FindTerminal(const Layout& layout) {
    constexpr int kMinorBits = 20;
    Add(bpf::Load64(BPF_REG_1, kContext, layout.context_file));
    EndIfZero(BPF_REG_1);
    Add(bpf::Load64(BPF_REG_2, BPF_REG_1, layout.file_inode));
    EndIfZero(BPF_REG_2);
    Add(bpf::Load32(BPF_REG_2, BPF_REG_2, layout.inode_rdev));
    Add(bpf::ShiftRight(BPF_REG_2, kMinorBits));
    // Slaves, or /dev/ptmx and the like.
    Add(bpf::SkipIfEqual(BPF_REG_2, 136, 1));
    EndIf(bpf::SkipUnlessEqual(BPF_REG_2, 5, 0));
    Add(bpf::Load64(kTerminal, BPF_REG_1, layout.file_private));
    EndIfZero(kTerminal);
  }

  void FindRecord(int scratch) {
    Add(bpf::Set(BPF_REG_1, 0));
    Add(bpf::Store64(BPF_REG_10, kKey, BPF_REG_1));
    Add(bpf::Copy(BPF_REG_2, BPF_REG_10));
    Add(bpf::Add(BPF_REG_2, kKey));
    Add({BPF_LD | BPF_IMM | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, scratch});
    Add({});  // the upper half of that
    Add(bpf::Call(BPF_FUNC_map_lookup_elem));
    EndIfZero(BPF_REG_0);
    Add(bpf::Copy(kRecord, BPF_REG_0));
    // What of the last terminal would stand there where the kernel has none.
    Add(bpf::Set(BPF_REG_1, 0));
    Add(bpf::Store64(kRecord, offsetof(Record, committed), BPF_REG_1));
  }

  void FillRecord(const Layout& layout) {
    Add(bpf::Load32(BPF_REG_1, kContext, layout.context_fd));
    Add(bpf::Store64(kRecord, offsetof(Record, fd), BPF_REG_1));
    FetchPointer(kTerminal, kTerminal, layout.private_tty);
    FetchPointer(kPort, kTerminal, layout.tty_port);
    constexpr size_t kWord = sizeof(uint64_t);
    FetchField(offsetof(Record, buffer_head), kWord, kPort, layout.port_buffer_head);
    FetchField(offsetof(Record, buffer_tail), kWord, kPort, layout.port_buffer_tail);
    Add(bpf::Load64(kPort, kRecord, offsetof(Record, buffer_head)));
    FetchField(offsetof(Record, committed), sizeof(int32_t), kPort, layout.buffer_commit);
    FetchField(offsetof(Record, taken), sizeof(int32_t), kPort, layout.buffer_read);
    FetchPointer(kTerminal, kTerminal, layout.tty_discipline);
    FetchField(offsetof(Record, read_head), kWord, kTerminal, layout.read_head);
    FetchField(offsetof(Record, read_tail), kWord, kTerminal, layout.read_tail);
    FetchField(offsetof(Record, echo_head), kWord, kTerminal, layout.echo_head);
    FetchField(offsetof(Record, echo_tail), kWord, kTerminal, layout.echo_tail);
    FetchField(offsetof(Record, ends), sizeof Record::ends, kTerminal, layout.read_flags);
    FetchField(offsetof(Record, bytes), sizeof Record::bytes, kTerminal, layout.read_buffer);
  }

  void HandOut(const Layout& layout) {
    Add(bpf::Load64(BPF_REG_1, kContext, layout.context_meta));
    Add(bpf::Load64(BPF_REG_1, BPF_REG_1, layout.meta_seq));
    Add(bpf::Copy(BPF_REG_2, kRecord));
    Add(bpf::Set(BPF_REG_3, sizeof(Record)));
    Add(bpf::Call(BPF_FUNC_seq_write));
  }

  void Write(const Layout& layout, int scratch) {
    Add(bpf::Copy(kContext, BPF_REG_1));
    FindTerminal(layout);
    FindRecord(scratch);
    FillRecord(layout);
    HandOut(layout);
    for (const size_t jump : ends_) {
      instructions_[jump].off = static_cast<int16_t>(instructions_.size() - jump - 1);
    }
    Add(bpf::Set(BPF_REG_0, 0));
    Add(bpf::Return());
  }

  std::vector<bpf_insn> instructions_;
  std::vector<size_t> ends_;
};

absl::StatusOr<TerminalQueue> QueueOf(const Record& record) {
  const uint64_t size = record.read_head - record.read_tail;
  if (size > kQueueSize) return absl::DataLossError("a terminal's queue is longer than it can be");
  TerminalQueue queue;
  for (uint64_t at = record.read_tail; at != record.read_head; ++at) {
    const uint64_t place = at % kQueueSize;
    queue.bytes.push_back(static_cast<char>(record.bytes[place]));
    queue.ends.push_back((record.ends[place / 8] >> (place % 8) & 1) != 0);
  }
  queue.more = record.buffer_head != record.buffer_tail || record.committed != record.taken ||
               record.echo_head != record.echo_tail;
  return queue;
}

}  // namespace

absl::StatusOr<BpfTerminalQueues> BpfTerminalQueues::Load() {
  ASSIGN_OR_RETURN(const KernelBtf btf, KernelBtf::Open());
  ASSIGN_OR_RETURN(const Layout layout, FindLayout(btf.bytes()));
  ASSIGN_OR_RETURN(UniqueFd scratch, CreateBpfScratch(sizeof(Record)));
  const Program program(layout, scratch.get());
  ASSIGN_OR_RETURN(UniqueFd loaded, LoadBpfIterator(layout.function, program.instructions()));
  return BpfTerminalQueues(std::move(scratch), std::move(loaded));
}

absl::StatusOr<std::map<int, TerminalQueue>> BpfTerminalQueues::Read() const {
  ASSIGN_OR_RETURN(const UniqueFd attached, AttachBpfIterator(program_, getpid()));
  std::string text;
  std::string piece(size_t{8} * 4096, '\0');  // as much as the kernel gives at once
  for (;;) {
    const ssize_t n = read(attached.get(), piece.data(), piece.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return absl::ErrnoToStatus(errno, "reading terminals from a BPF program");
    if (n == 0) break;
    text.append(piece, 0, static_cast<size_t>(n));
  }
  if (text.size() % sizeof(Record) != 0) {
    return absl::DataLossError("a BPF program gave part of a terminal");
  }
  std::map<int, TerminalQueue> queues;
  for (size_t at = 0; at < text.size(); at += sizeof(Record)) {
    Record record;
    std::memcpy(&record, text.data() + at, sizeof record);
    ASSIGN_OR_RETURN(queues[static_cast<int>(record.fd)], QueueOf(record));
  }
  return queues;
}

}  // namespace dumpctl
