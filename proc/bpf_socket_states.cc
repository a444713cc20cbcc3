#include "proc/bpf_socket_states.h"

#include <array>
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

constexpr size_t kWord = sizeof(uint64_t);
constexpr size_t kMostOptions = 24;

// What the program hands out of each socket, made on its stack.
struct SocketRecord {
  uint64_t fd;
  uint64_t inode;
  uint64_t reuseport_program;
  uint64_t options[kMostOptions];
};

// Part of a socket that options are kept in.
struct OptionPlace {
  uint32_t offset = 0;
  uint32_t size = 0;
};

// Where the running kernel keeps what the program reads, in bytes.
struct SocketLayout {
  uint32_t function = 0;  // BTF id of the iterator's attach point
  BpfContextLayout context;
  uint32_t context_fd = 0;
  uint32_t context_file = 0;
  uint32_t file_inode = 0;
  uint32_t inode_number = 0;
  uint32_t socket_sock = 0;
  uint32_t socket_flags = 0;  // SO_PASSCRED and the like, before Linux 6.16
  uint32_t sock_group = 0;
  uint32_t group_program = 0;
  uint32_t option_count = 0;
  std::array<OptionPlace, kMostOptions> options;  // of a sock
};

constexpr std::string_view kOfCommon[] = {"skc_bound_dev_if", "skc_flags", "skc_reuse",
                                          "skc_reuseport"};
constexpr std::string_view kOfSock[] = {
    "sk_type",     "sk_protocol",        "sk_no_check_tx",  "sk_rcvbuf",         "sk_sndbuf",
    "sk_rcvlowat", "sk_userlocks",       "sk_priority",     "sk_mark",           "sk_lingertime",
    "sk_rcvtimeo", "sk_sndtimeo",        "sk_filter",       "sk_tsflags",        "sk_bind_phc",
    "sk_peek_off", "sk_max_pacing_rate", "sk_reserved_mem", "sk_scm_recv_flags",
};
static_assert(std::size(kOfCommon) + std::size(kOfSock) < kMostOptions);

// A kernel may lack some, with the options that they are for, or keep these elsewhere. Their sizes
// change (sk_tsflags has 2 bytes on Linux 6.1), and no program is let load more than there is.
void AddOptions(const Btf& btf, const BtfType& type, std::span<const std::string_view> members,
                SocketLayout& layout) {
  for (const std::string_view member : members) {
    const absl::StatusOr<uint32_t> offset = btf.ByteOf(type, member);
    const absl::StatusOr<uint32_t> size = btf.SizeOf(type, member);
    if (!offset.ok() || !size.ok()) continue;
    layout.options.at(layout.option_count++) = {*offset, *size};
  }
}

absl::StatusOr<SocketLayout> FindSocketLayout(std::string_view bytes) {
  ASSIGN_OR_RETURN(Btf btf, Btf::Parse(bytes));
  constexpr BtfName kNames[] = {
      {BtfKind::kStruct, "file"},        {BtfKind::kStruct, "inode"},
      {BtfKind::kStruct, "socket"},      {BtfKind::kStruct, "sock"},
      {BtfKind::kStruct, "sock_common"}, {BtfKind::kStruct, "sock_reuseport"},
  };
  ASSIGN_OR_RETURN(const BpfIterator iterator, FindBpfIterator(btf, "task_file", kNames));
  const std::vector<BtfType>& types = iterator.others;
  const BtfType &context = iterator.context, &file = types[0], &inode = types[1],
                &socket = types[2], &sock = types[3], &common = types[4], &group = types[5];
  SocketLayout layout = {.function = iterator.function, .context = iterator.layout};
  uint32_t sock_common = 0;
  const BtfField fields[] = {
      {&layout.context_fd, context, "fd"},    {&layout.context_file, context, "file"},
      {&layout.file_inode, file, "f_inode"},  {&layout.inode_number, inode, "i_ino"},
      {&layout.socket_sock, socket, "sk"},    {&layout.socket_flags, socket, "flags"},
      {&sock_common, sock, "__sk_common"},    {&layout.sock_group, sock, "sk_reuseport_cb"},
      {&layout.group_program, group, "prog"},
  };
  RETURN_IF_ERROR(FindFields(btf, fields));
  if (sock_common != 0) return absl::DataLossError("a socket does not begin as it should");
  AddOptions(btf, common, kOfCommon, layout);
  AddOptions(btf, sock, kOfSock, layout);
  return layout;
}

// Puts the program together.
class SocketProgram : BpfStackAssembler<SocketRecord> {
 public:
  static std::vector<bpf_insn> Write(const SocketLayout& layout) {
    SocketProgram program;
    program.Add(bpf::Copy(kContext, BPF_REG_1));
    program.Clear();
    program.FindSocket(layout);
    program.FillRecord(layout);
    program.HandOut(layout.context, kContext, BPF_REG_10, kRecord, sizeof(SocketRecord));
    return std::move(program).Finish();
  }

 private:
  // Registers that calls leave alone.
  static constexpr uint8_t kPointed = BPF_REG_6;
  static constexpr uint8_t kSocket = BPF_REG_7;
  static constexpr uint8_t kFile = BPF_REG_8;
  static constexpr uint8_t kContext = BPF_REG_9;

  void FindSocket(const SocketLayout& layout) {
    Add(bpf::Load64(kFile, kContext, layout.context_file));
    EndIfZero(kFile);
    // The type that this gives (Linux 5.11) lets the program load what follows. To fetch some 30
    // fields by a call each took nearly 1 us more of each socket.
    Add(bpf::Copy(BPF_REG_1, kFile));
    Add(bpf::Call(BPF_FUNC_sock_from_file));
    Add(bpf::Copy(kSocket, BPF_REG_0));
    EndIfZero(kSocket);
    LoadPointer(kPointed, kFile, layout.file_inode);
    LoadField(offsetof(SocketRecord, inode), kWord, kPointed, layout.inode_number);
  }

  void FillRecord(const SocketLayout& layout) {
    Add(bpf::Load32(BPF_REG_1, kContext, layout.context_fd));
    Add(bpf::Store64(BPF_REG_10, kRecord + static_cast<int>(offsetof(SocketRecord, fd)),
                     BPF_REG_1));
    size_t place = offsetof(SocketRecord, options);
    LoadField(place, kWord, kSocket, layout.socket_flags);
    LoadPointer(kSocket, kSocket, layout.socket_sock);
    for (const OptionPlace& option : std::span(layout.options).first(layout.option_count)) {
      LoadField(place += kWord, option.size, kSocket, option.offset);
    }
    // Of most sockets there is no group.
    std::vector<size_t> without_group;
    Add(bpf::Load64(kPointed, kSocket, layout.sock_group));
    JumpTo(without_group, bpf::SkipIfZero(kPointed, 0));
    LoadField(offsetof(SocketRecord, reuseport_program), kWord, kPointed, layout.group_program);
    Here(without_group);
  }
};

}  // namespace

absl::StatusOr<BpfSocketStates> BpfSocketStates::Load() {
  ASSIGN_OR_RETURN(const SocketLayout layout, KeptLayout("sockets", FindSocketLayout));
  const std::vector<bpf_insn> program = SocketProgram::Write(layout);
  ASSIGN_OR_RETURN(UniqueFd loaded, LoadBpfIterator(layout.function, program));
  return BpfSocketStates(std::move(loaded));
}

absl::StatusOr<std::vector<SocketState>> BpfSocketStates::Read(pid_t tid) const {
  ASSIGN_OR_RETURN(const UniqueFd attached, AttachBpfIterator(program_, tid));
  std::vector<SocketState> states;
  RETURN_IF_ERROR(ReadBpfRecords(
      attached, sizeof(SocketRecord), [&states](std::string_view bytes) -> absl::StatusOr<bool> {
        SocketRecord record;
        std::memcpy(&record, bytes.data(), sizeof record);
        const int number = static_cast<int>(record.fd);
        // The kernel may start over behind the last one: see BpfVmaIterator.
        if (!states.empty() && number <= states.back().number) return false;
        states.push_back({.number = number,
                          .inode = record.inode,
                          .reuseport_program = record.reuseport_program != 0,
                          .options = std::string(bytes.substr(offsetof(SocketRecord, options)))});
        return true;
      }));
  return states;
}

}  // namespace dumpctl
