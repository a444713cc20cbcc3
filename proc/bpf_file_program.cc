#include "proc/bpf_file_program.h"

#include <linux/magic.h>

#include <array>
#include <bit>
#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "dumpctl/status_macros.h"
#include "proc/bpf_assembler.h"
#include "proc/bpf_program.h"
#include "proc/btf_parser.h"
#include "proc/kept_layout.h"
#include "proc/kernel_file.h"

namespace dumpctl {
namespace {

// Where the running kernel keeps what the program reads, in bytes.
struct FileLayout {
  uint32_t function = 0;
  uint32_t cast = 0;  // BTF ids, as the next are
  uint32_t mount = 0;
  uint32_t pipe = 0;
  uint32_t event = 0;
  uint32_t timer = 0;
  BpfContextLayout context;
  uint32_t context_task = 0;
  uint32_t context_fd = 0;
  uint32_t context_file = 0;
  uint32_t file_inode = 0;
  uint32_t file_pos = 0;
  uint32_t file_flags = 0;
  uint32_t file_operations = 0;
  uint32_t file_owner = 0;
  uint32_t file_private = 0;
  uint32_t file_path = 0;
  uint32_t path_mount = 0;
  uint32_t path_dentry = 0;
  uint32_t dentry_name = 0;
  uint32_t name_text = 0;
  uint32_t operations_show = 0;
  uint32_t inode_number = 0;
  uint32_t inode_locks = 0;
  uint32_t locks_flock = 0;
  uint32_t locks_posix = 0;
  uint32_t locks_lease = 0;
  uint32_t list_next = 0;
  uint32_t inode_mode = 0;
  uint32_t inode_block_bits = 0;
  uint32_t inode_links = 0;
  uint32_t inode_uid = 0;
  uint32_t inode_gid = 0;
  uint32_t inode_size = 0;
  uint32_t inode_blocks = 0;
  uint32_t inode_super = 0;
  uint32_t super_magic = 0;
  uint32_t super_device = 0;
  uint32_t mount_public = 0;  // what files point to within a mount
  uint32_t mount_id = 0;
  uint32_t task_files = 0;
  uint32_t files_table = 0;
  uint32_t table_close_on_exec = 0;
  uint32_t pipe_head = 0;
  uint32_t pipe_tail = 0;
  uint32_t pipe_pages = 0;
  uint32_t event_count = 0;
  uint32_t event_flags = 0;
  uint32_t event_id = 0;
  uint32_t timer_kinds = 0;
  uint32_t kinds_timer = 0;
  uint32_t timer_interval = 0;
  uint32_t timer_ticks = 0;
  uint32_t timer_clock = 0;
  uint32_t timer_flags = 0;
  uint32_t hrtimer_node = 0;
  uint32_t node_expires = 0;
};

absl::StatusOr<FileLayout> FindFileLayout(std::string_view bytes) {
  ASSIGN_OR_RETURN(Btf btf, Btf::Parse(bytes));
  constexpr BtfName kNames[] = {
      {BtfKind::kStruct, "mount"},
      {BtfKind::kStruct, "eventfd_ctx"},
      {BtfKind::kStruct, "timerfd_ctx"},
      {BtfKind::kStruct, "pipe_inode_info"},
      {BtfKind::kFunction, "bpf_rdonly_cast"},
  };
  ASSIGN_OR_RETURN(const BpfIterator iterator, FindBpfIterator(btf, "task_file", kNames));
  const std::vector<BtfType>& types = iterator.others;
  const BtfType &context = iterator.context, &mount = types[0], &event = types[1],
                &timer = types[2], &pipe = types[3];
  BtfType file, path, dentry, name, operations, inode, super, owner, task, files, table, kinds,
      hrtimer, node, locks, list;
  const BtfPart parts[] = {
      {&file, context, "file"},    {&path, file, "f_path"},     {&dentry, path, "dentry"},
      {&name, dentry, "d_name"},   {&operations, file, "f_op"}, {&inode, file, "f_inode"},
      {&super, inode, "i_sb"},     {&owner, file, "f_owner"},   {&task, context, "task"},
      {&files, task, "files"},     {&table, files, "fdt"},      {&kinds, timer, "t"},
      {&hrtimer, kinds, "tmr"},    {&node, hrtimer, "node"},    {&locks, inode, "i_flctx"},
      {&list, locks, "flc_flock"},
  };
  RETURN_IF_ERROR(FindParts(btf, parts));
  // Only where a file points to its owner, the owner points back: before, it was within the file.
  RETURN_IF_ERROR(btf.OffsetOf(owner, "file").status());
  FileLayout layout = {.function = iterator.function,
                       .cast = types[4].id,
                       .mount = mount.id,
                       .pipe = pipe.id,
                       .event = event.id,
                       .timer = timer.id,
                       .context = iterator.layout};
  const BtfField fields[] = {
      {&layout.context_task, context, "task"},
      {&layout.context_fd, context, "fd"},
      {&layout.context_file, context, "file"},
      {&layout.file_inode, file, "f_inode"},
      {&layout.file_pos, file, "f_pos"},
      {&layout.file_flags, file, "f_flags"},
      {&layout.file_operations, file, "f_op"},
      {&layout.file_owner, file, "f_owner"},
      {&layout.file_private, file, "private_data"},
      {&layout.file_path, file, "f_path"},
      {&layout.path_mount, path, "mnt"},
      {&layout.path_dentry, path, "dentry"},
      {&layout.dentry_name, dentry, "d_name"},
      {&layout.name_text, name, "name"},
      {&layout.operations_show, operations, "show_fdinfo"},
      {&layout.inode_number, inode, "i_ino"},
      {&layout.inode_locks, inode, "i_flctx"},
      {&layout.locks_flock, locks, "flc_flock"},
      {&layout.locks_posix, locks, "flc_posix"},
      {&layout.locks_lease, locks, "flc_lease"},
      {&layout.list_next, list, "next"},
      {&layout.inode_mode, inode, "i_mode"},
      {&layout.inode_block_bits, inode, "i_blkbits"},
      {&layout.inode_links, inode, "i_nlink"},
      {&layout.inode_uid, inode, "i_uid"},
      {&layout.inode_gid, inode, "i_gid"},
      {&layout.inode_size, inode, "i_size"},
      {&layout.inode_blocks, inode, "i_blocks"},
      {&layout.inode_super, inode, "i_sb"},
      {&layout.super_magic, super, "s_magic"},
      {&layout.super_device, super, "s_dev"},
      {&layout.mount_public, mount, "mnt"},
      {&layout.mount_id, mount, "mnt_id"},
      {&layout.task_files, task, "files"},
      {&layout.files_table, files, "fdt"},
      {&layout.table_close_on_exec, table, "close_on_exec"},
      {&layout.pipe_head, pipe, "head"},
      {&layout.pipe_tail, pipe, "tail"},
      {&layout.pipe_pages, pipe, "max_usage"},
      {&layout.event_count, event, "count"},
      {&layout.event_flags, event, "flags"},
      {&layout.event_id, event, "id"},
      {&layout.timer_kinds, timer, "t"},
      {&layout.kinds_timer, kinds, "tmr"},
      {&layout.timer_interval, timer, "tintv"},
      {&layout.timer_ticks, timer, "ticks"},
      {&layout.timer_clock, timer, "clockid"},
      {&layout.timer_flags, timer, "settime_flags"},
      {&layout.hrtimer_node, hrtimer, "node"},
      {&layout.node_expires, node, "expires"},
  };
  RETURN_IF_ERROR(FindFields(btf, fields));
  return layout;
}

// A member of KernelFile: where the program puts something, and how much.
#define PLACE(member) offsetof(KernelFile, member), sizeof(KernelFile::member)

// Puts the program together.
class FileAssembler : BpfStackAssembler<KernelFile> {
 public:
  static std::vector<bpf_insn> Write(const FileLayout& layout) {
    FileAssembler program;
    program.Add(bpf::Copy(kContext, BPF_REG_1));
    program.Clear();
    program.Add(bpf::Load64(kFile, kContext, layout.context_file));
    // Once more, when all have been told of.
    std::vector<size_t> none;
    program.JumpTo(none, bpf::SkipIfZero(kFile, 0));
    program.TakeContext(layout);
    program.FillFromTask(layout);
    program.FillFromFile(layout);
    program.FillFromInode(layout);
    program.FillByFileSystem(layout);
    program.Add(bpf::Set(BPF_REG_1, 1));
    program.Add(bpf::Store64(BPF_REG_10, At(offsetof(KernelFile, complete)), BPF_REG_1));
    // Who misses one must hear of it.
    program.EndHere();
    program.HandOutBy(kSequence, BPF_REG_10, kRecord, sizeof(KernelFile));
    program.Here(none);
    return std::move(program).Finish();
  }

 private:
  // Registers that calls leave alone.
  static constexpr uint8_t kPointed = BPF_REG_6;
  static constexpr uint8_t kNumber = BPF_REG_7;
  static constexpr uint8_t kFile = BPF_REG_8;
  static constexpr uint8_t kContext = BPF_REG_9;
  static constexpr uint8_t kSequence = BPF_REG_9;  // from TakeContext on

  static int At(size_t place) { return kRecord + static_cast<int>(place); }

  void FillFromFile(const FileLayout& layout) {
    LoadField(PLACE(pos), kFile, layout.file_pos);
    LoadField(PLACE(flags), kFile, layout.file_flags);
    LoadField(PLACE(owner), kFile, layout.file_owner);
    LoadField(PLACE(private_data), kFile, layout.file_private);
    LoadPointer(kPointed, kFile, layout.file_operations);
    LoadField(PLACE(show_fdinfo), kPointed, layout.operations_show);
    LoadPointer(kPointed, kFile, layout.file_path + layout.path_mount);
    Cast(kPointed, kPointed, -static_cast<int>(layout.mount_public), layout.cast, layout.mount);
    LoadField(PLACE(mount_id), kPointed, layout.mount_id);
  }

  // There are lists from the first lock on, and one inode is that of all kernel objects. The first
  // of an empty list is its head.
  void FillLocks(const FileLayout& layout) {
    std::vector<size_t> none;
    Add(bpf::Load64(BPF_REG_4, kPointed, layout.inode_locks));
    JumpTo(none, bpf::SkipIfZero(BPF_REG_4, 0));
    Add(bpf::Set(BPF_REG_3, 0));
    for (const uint32_t head : {layout.locks_flock, layout.locks_posix, layout.locks_lease}) {
      Add(bpf::Load64(BPF_REG_5, BPF_REG_4, head + layout.list_next));
      Add(bpf::Copy(BPF_REG_2, BPF_REG_4));
      Add(bpf::Add(BPF_REG_2, static_cast<int>(head)));
      Add(bpf::SubtractRegister(BPF_REG_5, BPF_REG_2));
      Add(bpf::OrRegister(BPF_REG_3, BPF_REG_5));
    }
    Add(bpf::Store64(BPF_REG_10, At(offsetof(KernelFile, locks)), BPF_REG_3));
    Here(none);
  }

  void FillFromInode(const FileLayout& layout) {
    LoadPointer(kPointed, kFile, layout.file_inode);
    LoadField(PLACE(inode), kPointed, layout.inode_number);
    FillLocks(layout);
    LoadField(PLACE(mode), kPointed, layout.inode_mode);
    LoadField(PLACE(block_bits), kPointed, layout.inode_block_bits);
    LoadField(PLACE(links), kPointed, layout.inode_links);
    LoadField(PLACE(uid), kPointed, layout.inode_uid);
    LoadField(PLACE(gid), kPointed, layout.inode_gid);
    LoadField(PLACE(size), kPointed, layout.inode_size);
    LoadField(PLACE(blocks), kPointed, layout.inode_blocks);
    LoadPointer(kPointed, kPointed, layout.inode_super);
    LoadField(PLACE(magic), kPointed, layout.super_magic);
    LoadField(PLACE(device), kPointed, layout.super_device);
  }

  // One after the other: each of the ways through it takes the kernel's verifier some time.
  void FillByFileSystem(const FileLayout& layout) {
    std::vector<size_t> done;
    Add(bpf::Load64(BPF_REG_1, BPF_REG_10, static_cast<uint32_t>(At(offsetof(KernelFile, magic)))));
    const std::vector<size_t> no_pipe = JumpUnlessAt1(PIPEFS_MAGIC);
    FillFromPipe(layout);
    JumpTo(done, bpf::Skip(0));
    Here(no_pipe);
    const std::vector<size_t> no_socket = JumpUnlessAt1(SOCKFS_MAGIC);
    FillName(layout);
    JumpTo(done, bpf::Skip(0));
    Here(no_socket);
    const std::vector<size_t> no_object = JumpUnlessAt1(ANON_INODE_FS_MAGIC);
    FillName(layout);
    FillFromObject(layout, done);
    JumpTo(done, bpf::Skip(0));
    Here(no_object);
    FillLink(layout);
    Here(done);
  }

  std::vector<size_t> JumpUnlessAt1(int value) {
    std::vector<size_t> jump;
    JumpTo(jump, bpf::SkipUnlessEqual(BPF_REG_1, value, 0));
    return jump;
  }

  // Of what has no path.
  void FillName(const FileLayout& layout) {
    LoadPointer(kPointed, kFile, layout.file_path + layout.path_dentry);
    LoadPointer(BPF_REG_3, kPointed, layout.dentry_name + layout.name_text);
    FetchTextAt3(BPF_REG_10, At(offsetof(KernelFile, name)), sizeof KernelFile::name);
  }

  // Of what has a path: as links of procfs have it, seen from the root of who reads the iterator.
  void FillLink(const FileLayout& layout) {
    Add(bpf::Copy(BPF_REG_1, kFile));
    Add(bpf::Add(BPF_REG_1, static_cast<int>(layout.file_path)));
    Add(bpf::Copy(BPF_REG_2, BPF_REG_10));
    Add(bpf::Add(BPF_REG_2, At(offsetof(KernelFile, link))));
    Add(bpf::Set(BPF_REG_3, sizeof KernelFile::link));
    Add(bpf::Call(BPF_FUNC_d_path));
    Add(bpf::Store64(BPF_REG_10, At(offsetof(KernelFile, link_size)), BPF_REG_0));
  }

  // What a file of such a kind alone points to. Those of others may point anywhere, to a device
  // even.
  void PointToPrivate(const FileLayout& layout, uint32_t type) {
    Add(bpf::Load64(kPointed, kFile, layout.file_private));
    Cast(kPointed, kPointed, 0, layout.cast, type);
  }

  void FillFromPipe(const FileLayout& layout) {
    PointToPrivate(layout, layout.pipe);
    LoadField(PLACE(pipe_head), kPointed, layout.pipe_head);
    LoadField(PLACE(pipe_tail), kPointed, layout.pipe_tail);
    LoadField(PLACE(pipe_pages), kPointed, layout.pipe_pages);
  }

  // By how its name begins: who reads the record compares the rest.
  void FillFromObject(const FileLayout& layout, std::vector<size_t>& done) {
    static_assert(offsetof(KernelFile, name) % sizeof(int) == 0);
    constexpr std::array kEvent = {'[', 'e', 'v', 'e'};
    constexpr std::array kTimer = {'[', 't', 'i', 'm'};
    Add(bpf::Load32(BPF_REG_1, BPF_REG_10, static_cast<uint32_t>(At(offsetof(KernelFile, name)))));
    const std::vector<size_t> no_event = JumpUnlessAt1(std::bit_cast<int>(kEvent));
    FillFromEvent(layout);
    JumpTo(done, bpf::Skip(0));
    Here(no_event);
    JumpTo(done, bpf::SkipUnlessEqual(BPF_REG_1, std::bit_cast<int>(kTimer), 0));
    FillFromTimer(layout, done);
  }

  void FillFromEvent(const FileLayout& layout) {
    PointToPrivate(layout, layout.event);
    LoadField(PLACE(event_count), kPointed, layout.event_count);
    LoadField(PLACE(event_flags), kPointed, layout.event_flags);
    LoadField(PLACE(event_id), kPointed, layout.event_id);
  }

  void FillFromTimer(const FileLayout& layout, std::vector<size_t>& done) {
    PointToPrivate(layout, layout.timer);
    LoadField(PLACE(timer_expires), kPointed,
              layout.timer_kinds + layout.kinds_timer + layout.hrtimer_node + layout.node_expires);
    LoadField(PLACE(timer_interval), kPointed, layout.timer_interval);
    LoadField(PLACE(timer_ticks), kPointed, layout.timer_ticks);
    LoadField(PLACE(timer_clock), kPointed, layout.timer_clock);
    LoadField(PLACE(timer_flags), kPointed, layout.timer_flags);
    Add(bpf::Load64(BPF_REG_1, BPF_REG_10,
                    static_cast<uint32_t>(At(offsetof(KernelFile, timer_expires)))));
    JumpTo(done, bpf::SkipIfZero(BPF_REG_1, 0));
    // After all else: what lies ahead then did so all the time.
    TakeTime(BPF_FUNC_ktime_get_ns, offsetof(KernelFile, monotonic));
    TakeTime(BPF_FUNC_ktime_get_boot_ns, offsetof(KernelFile, boottime));
    TakeTime(BPF_FUNC_ktime_get_tai_ns, offsetof(KernelFile, tai));
  }

  void TakeTime(int function, size_t place) {
    Add(bpf::Call(function));
    Add(bpf::Store64(BPF_REG_10, At(place), BPF_REG_0));
  }

  // Task and number for FillFromTask.
  void TakeContext(const FileLayout& layout) {
    LoadField(PLACE(address), kContext, layout.context_file);
    Add(bpf::Load32(kNumber, kContext, layout.context_fd));
    Add(bpf::Load64(kPointed, kContext, layout.context_task));
    LoadSequence(kSequence, layout.context, kContext);
  }

  void FillFromTask(const FileLayout& layout) {
    Add(bpf::Store64(BPF_REG_10, At(offsetof(KernelFile, number)), kNumber));
    EndIfZero(kPointed);
    LoadPointer(kPointed, kPointed, layout.task_files);
    LoadPointer(kPointed, kPointed, layout.files_table);
    LoadPointer(kPointed, kPointed, layout.table_close_on_exec);
    // The word that its bit is in.
    Add(bpf::ShiftRight(kNumber, 6));
    Add(bpf::ShiftLeft(kNumber, 3));
    Add(bpf::Copy(BPF_REG_3, kPointed));
    Add(bpf::AddRegister(BPF_REG_3, kNumber));
    FetchAt3(BPF_REG_10, At(offsetof(KernelFile, close_on_exec)), sizeof KernelFile::close_on_exec);
  }
};
#undef PLACE

}  // namespace

absl::StatusOr<BpfFileProgram> MakeFileProgram(std::string_view btf) {
  ASSIGN_OR_RETURN(const FileLayout layout, FindFileLayout(btf));
  return BpfFileProgram{layout.function, FileAssembler::Write(layout)};
}

absl::StatusOr<BpfFileProgram> MakeFileProgram() {
  ASSIGN_OR_RETURN(const FileLayout layout, KeptLayout("files", FindFileLayout));
  return BpfFileProgram{layout.function, FileAssembler::Write(layout)};
}

}  // namespace dumpctl
