#include "proc/bpf_terminal_queues.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dumpctl/status_macros.h"
#include "proc/bpf_assembler.h"
#include "proc/bpf_program.h"
#include "proc/btf_parser.h"
#include "proc/kept_layout.h"

namespace dumpctl {
namespace {

constexpr size_t kQueueSize = 4096;  // N_TTY_BUF_SIZE
constexpr absl::Duration kPatience = absl::Milliseconds(100);

// What the program hands out of each terminal. The last four are from the head of the buffer
// between the writer and the line discipline.
struct TerminalRecord {
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
static_assert(sizeof(TerminalRecord) % 8 == 0);

// Where the running kernel keeps what the program reads, in bytes.
struct TerminalLayout {
  uint32_t function = 0;  // BTF id of the iterator's attach point
  BpfContextLayout context;
  uint32_t context_fd = 0;
  uint32_t context_file = 0;
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

absl::StatusOr<TerminalLayout> FindTerminalLayout(std::string_view bytes) {
  ASSIGN_OR_RETURN(Btf btf, Btf::Parse(bytes));
  constexpr BtfName kNames[] = {{BtfKind::kStruct, "tty_file_private"},
                                {BtfKind::kStruct, "n_tty_data"}};
  ASSIGN_OR_RETURN(const BpfIterator iterator, FindBpfIterator(btf, "task_file", kNames));
  const BtfType &context = iterator.context, &file_private = iterator.others[0],
                &discipline = iterator.others[1];
  BtfType file, inode, tty, port, head, buffer;
  const BtfPart parts[] = {
      {&file, context, "file"}, {&inode, file, "f_inode"}, {&tty, file_private, "tty"},
      {&port, tty, "port"},     {&head, port, "buf"},      {&buffer, head, "head"},
  };
  RETURN_IF_ERROR(FindParts(btf, parts));
  TerminalLayout layout = {.function = iterator.function, .context = iterator.layout};
  const BtfField fields[] = {
      {&layout.context_fd, context, "fd"},
      {&layout.context_file, context, "file"},
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
  RETURN_IF_ERROR(FindFields(btf, fields));
  ASSIGN_OR_RETURN(const uint32_t buffers, btf.OffsetOf(port, "buf"));
  layout.port_buffer_head += buffers;
  layout.port_buffer_tail += buffers;
  return layout;
}

// Puts the program together.
class TerminalProgram : BpfAssembler {
 public:
  static std::vector<bpf_insn> Write(const TerminalLayout& layout, int scratch) {
    TerminalProgram program;
    program.Add(bpf::Copy(kContext, BPF_REG_1));
    program.FindTerminal(layout);
    program.FindRecord(scratch);
    program.FillRecord(layout);
    program.HandOut(layout.context, kContext, kRecord, 0, sizeof(TerminalRecord));
    return std::move(program).Finish();
  }

 private:
  // Registers that calls leave alone.
  static constexpr uint8_t kPort = BPF_REG_6;
  static constexpr uint8_t kTerminal = BPF_REG_7;
  static constexpr uint8_t kRecord = BPF_REG_8;
  static constexpr uint8_t kContext = BPF_REG_9;

  void FetchField(size_t place, size_t size, uint8_t from, uint32_t offset) {
    Fetch(kRecord, static_cast<int>(place), size, from, offset);
  }

  void FindTerminal(const TerminalLayout& layout) {
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
    FindValue(kRecord, scratch);
    // What of the last terminal would stand there where the kernel has none.
    Add(bpf::Set(BPF_REG_1, 0));
    Add(bpf::Store64(kRecord, offsetof(TerminalRecord, committed), BPF_REG_1));
  }

  void FillRecord(const TerminalLayout& layout) {
    Add(bpf::Load32(BPF_REG_1, kContext, layout.context_fd));
    Add(bpf::Store64(kRecord, offsetof(TerminalRecord, fd), BPF_REG_1));
    FetchPointer(kTerminal, kTerminal, layout.private_tty);
    FetchPointer(kPort, kTerminal, layout.tty_port);
    constexpr size_t kWord = sizeof(uint64_t);
    FetchField(offsetof(TerminalRecord, buffer_head), kWord, kPort, layout.port_buffer_head);
    FetchField(offsetof(TerminalRecord, buffer_tail), kWord, kPort, layout.port_buffer_tail);
    Add(bpf::Load64(kPort, kRecord, offsetof(TerminalRecord, buffer_head)));
    FetchField(offsetof(TerminalRecord, committed), sizeof(int32_t), kPort, layout.buffer_commit);
    FetchField(offsetof(TerminalRecord, taken), sizeof(int32_t), kPort, layout.buffer_read);
    FetchPointer(kTerminal, kTerminal, layout.tty_discipline);
    FetchField(offsetof(TerminalRecord, read_head), kWord, kTerminal, layout.read_head);
    FetchField(offsetof(TerminalRecord, read_tail), kWord, kTerminal, layout.read_tail);
    FetchField(offsetof(TerminalRecord, echo_head), kWord, kTerminal, layout.echo_head);
    FetchField(offsetof(TerminalRecord, echo_tail), kWord, kTerminal, layout.echo_tail);
    FetchField(offsetof(TerminalRecord, ends), sizeof TerminalRecord::ends, kTerminal,
               layout.read_flags);
    FetchField(offsetof(TerminalRecord, bytes), sizeof TerminalRecord::bytes, kTerminal,
               layout.read_buffer);
  }
};

// Whether the line discipline takes no more until something is read; a byte may be three to it
// (PARMRK: termios(3)).
bool IsFull(const TerminalQueue& queue) { return queue.bytes.size() + 3 >= kQueueSize; }

absl::StatusOr<TerminalQueue> QueueOf(const TerminalRecord& record) {
  const uint64_t size = record.read_head - record.read_tail;
  if (size > kQueueSize) return absl::DataLossError("a terminal's queue is longer than it can be");
  TerminalQueue queue;
  for (uint64_t at = record.read_tail; at != record.read_head; ++at) {
    const uint64_t place = at % kQueueSize;
    queue.bytes.push_back(static_cast<char>(record.bytes[place]));
    queue.ends.push_back((record.ends[place / 8] >> (place % 8) & 1) != 0);
  }
  const bool waits = record.buffer_head != record.buffer_tail || record.committed != record.taken;
  // An echo that waits when all has arrived waits for a terminal that was stopped (tcflow(3)).
  queue.more = waits || record.echo_head != record.echo_tail;
  queue.arriving = waits && !IsFull(queue);
  return queue;
}

}  // namespace

absl::StatusOr<BpfTerminalQueues> BpfTerminalQueues::Load() {
  ASSIGN_OR_RETURN(const TerminalLayout layout, KeptLayout("terminals", FindTerminalLayout));
  ASSIGN_OR_RETURN(UniqueFd scratch, CreateBpfScratch(sizeof(TerminalRecord)));
  const std::vector<bpf_insn> program = TerminalProgram::Write(layout, scratch.get());
  ASSIGN_OR_RETURN(UniqueFd loaded, LoadBpfIterator(layout.function, program));
  return BpfTerminalQueues(std::move(scratch), std::move(loaded));
}

absl::StatusOr<std::map<int, TerminalQueue>> BpfTerminalQueues::Read() const {
  ASSIGN_OR_RETURN(const UniqueFd attached, AttachBpfIterator(program_, getpid()));
  std::map<int, TerminalQueue> queues;
  RETURN_IF_ERROR(ReadBpfRecords(
      attached, sizeof(TerminalRecord), [&queues](std::string_view bytes) -> absl::StatusOr<bool> {
        TerminalRecord record;
        std::memcpy(&record, bytes.data(), sizeof record);
        ASSIGN_OR_RETURN(queues[static_cast<int>(record.fd)], QueueOf(record));
        return true;
      }));
  return queues;
}

absl::StatusOr<std::map<int, TerminalQueue>> BpfTerminalQueues::ReadArrived(
    std::span<const int> awaited) const {
  const absl::Time until = absl::Now() + kPatience;
  for (;; absl::SleepFor(absl::Milliseconds(1))) {
    ASSIGN_OR_RETURN(auto queues, Read());
    const bool arriving = std::any_of(awaited.begin(), awaited.end(), [&queues](int descriptor) {
      const auto queue = queues.find(descriptor);
      return queue != queues.end() && queue->second.arriving;
    });
    if (!arriving || absl::Now() >= until) return queues;
  }
}

}  // namespace dumpctl
