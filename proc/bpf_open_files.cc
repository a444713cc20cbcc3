#include "proc/bpf_open_files.h"

#include <fcntl.h>

#include <cstddef>
#include <cstring>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "dumpctl/status_macros.h"
#include "proc/bpf_assembler.h"
#include "proc/bpf_program.h"
#include "proc/btf_parser.h"

namespace dumpctl {
namespace {

// What the program hands out of each descriptor, made on its stack.
struct FileRecord {
  uint64_t fd;
  uint64_t file;
  uint64_t pos;
  uint64_t inode;
  uint64_t show_more;      // a function, or none
  uint64_t locks;          // their list, once there were any
  uint64_t owner;          // likewise
  uint64_t close_on_exec;  // of the 64 descriptors around it
  uint32_t flags;
  int32_t mount_id;
};
static_assert(sizeof(FileRecord) % 8 == 0);

// Where the running kernel keeps what the program reads, in bytes.
struct FileLayout {
  uint32_t function = 0;  // BTF id of the iterator's attach point
  BpfContextLayout context;
  uint32_t context_task = 0;
  uint32_t context_fd = 0;
  uint32_t context_file = 0;
  uint32_t file_inode = 0;
  uint32_t file_pos = 0;
  uint32_t file_flags = 0;
  uint32_t file_operations = 0;
  uint32_t file_owner = 0;
  uint32_t file_path = 0;
  uint32_t path_mount = 0;
  uint32_t operations_show = 0;
  uint32_t inode_number = 0;
  uint32_t inode_locks = 0;
  uint32_t mount_public = 0;  // what files point to within a mount
  uint32_t mount_id = 0;
  uint32_t task_files = 0;
  uint32_t files_table = 0;
  uint32_t table_close_on_exec = 0;
};

absl::StatusOr<FileLayout> FindFileLayout(std::string_view bytes) {
  ASSIGN_OR_RETURN(const Btf btf, Btf::Parse(bytes));
  constexpr BtfName kNames[] = {
      {BtfKind::kFunction, "bpf_iter_task_file"},
      {BtfKind::kStruct, "bpf_iter__task_file"},
      {BtfKind::kStruct, "bpf_iter_meta"},
      {BtfKind::kStruct, "file"},
      {BtfKind::kStruct, "path"},
      {BtfKind::kStruct, "file_operations"},
      {BtfKind::kStruct, "inode"},
      {BtfKind::kStruct, "mount"},
      {BtfKind::kStruct, "task_struct"},
      {BtfKind::kStruct, "files_struct"},
      {BtfKind::kStruct, "fdtable"},
      {BtfKind::kStruct, "fown_struct"},
  };
  ASSIGN_OR_RETURN(const std::vector<BtfType> types, btf.Find(kNames));
  const BtfType &context = types[1], &meta = types[2], &file = types[3], &path = types[4],
                &operations = types[5], &inode = types[6], &mount = types[7], &task = types[8],
                &files = types[9], &table = types[10], &owner = types[11];
  // Only where a file points to its owner, the owner points back: before, it was within the file.
  RETURN_IF_ERROR(btf.OffsetOf(owner, "file").status());
  FileLayout layout = {.function = types[0].id};
  const BtfField fields[] = {
      {&layout.context.meta, context, "meta"},
      {&layout.context.seq, meta, "seq"},
      {&layout.context_task, context, "task"},
      {&layout.context_fd, context, "fd"},
      {&layout.context_file, context, "file"},
      {&layout.file_inode, file, "f_inode"},
      {&layout.file_pos, file, "f_pos"},
      {&layout.file_flags, file, "f_flags"},
      {&layout.file_operations, file, "f_op"},
      {&layout.file_owner, file, "f_owner"},
      {&layout.file_path, file, "f_path"},
      {&layout.path_mount, path, "mnt"},
      {&layout.operations_show, operations, "show_fdinfo"},
      {&layout.inode_number, inode, "i_ino"},
      {&layout.inode_locks, inode, "i_flctx"},
      {&layout.mount_public, mount, "mnt"},
      {&layout.mount_id, mount, "mnt_id"},
      {&layout.task_files, task, "files"},
      {&layout.files_table, files, "fdt"},
      {&layout.table_close_on_exec, table, "close_on_exec"},
  };
  RETURN_IF_ERROR(FindFields(btf, fields));
  return layout;
}

// Puts the program together.
class FileProgram : BpfStackAssembler<FileRecord> {
 public:
  static std::vector<bpf_insn> Write(const FileLayout& layout) {
    FileProgram program;
    program.Add(bpf::Copy(kContext, BPF_REG_1));
    program.Add(bpf::Load64(kFile, kContext, layout.context_file));
    program.EndIfZero(kFile);
    program.FillFromFile(layout);
    program.FillFromTask(layout);
    program.HandOut(layout.context, kContext, BPF_REG_10, kRecord, sizeof(FileRecord));
    return std::move(program).Finish();
  }

 private:
  // Registers that calls leave alone.
  static constexpr uint8_t kPointed = BPF_REG_6;
  static constexpr uint8_t kNumber = BPF_REG_7;
  static constexpr uint8_t kFile = BPF_REG_8;
  static constexpr uint8_t kContext = BPF_REG_9;

  void FillFromFile(const FileLayout& layout) {
    constexpr size_t kWord = sizeof(uint64_t);
    // From where it stands, for the address itself is no number to a program.
    FetchField(offsetof(FileRecord, file), kWord, kContext, layout.context_file);
    FetchField(offsetof(FileRecord, pos), kWord, kFile, layout.file_pos);
    FetchField(offsetof(FileRecord, flags), sizeof FileRecord::flags, kFile, layout.file_flags);
    FetchField(offsetof(FileRecord, owner), kWord, kFile, layout.file_owner);
    FetchPointer(kPointed, kFile, layout.file_operations);
    FetchField(offsetof(FileRecord, show_more), kWord, kPointed, layout.operations_show);
    FetchPointer(kPointed, kFile, layout.file_inode);
    FetchField(offsetof(FileRecord, inode), kWord, kPointed, layout.inode_number);
    FetchField(offsetof(FileRecord, locks), kWord, kPointed, layout.inode_locks);
    FetchPointer(kPointed, kFile, layout.file_path + layout.path_mount);
    FetchField(offsetof(FileRecord, mount_id), sizeof FileRecord::mount_id, kPointed,
               layout.mount_id - layout.mount_public);
  }

  void FillFromTask(const FileLayout& layout) {
    Add(bpf::Load32(kNumber, kContext, layout.context_fd));
    Add(bpf::Store64(BPF_REG_10, kRecord + static_cast<int>(offsetof(FileRecord, fd)), kNumber));
    Add(bpf::Load64(kPointed, kContext, layout.context_task));
    EndIfZero(kPointed);
    FetchPointer(kPointed, kPointed, layout.task_files);
    FetchPointer(kPointed, kPointed, layout.files_table);
    FetchPointer(kPointed, kPointed, layout.table_close_on_exec);
    // The word that its bit is in.
    Add(bpf::ShiftRight(kNumber, 6));
    Add(bpf::ShiftLeft(kNumber, 3));
    Add(bpf::Copy(BPF_REG_3, kPointed));
    Add(bpf::AddRegister(BPF_REG_3, kNumber));
    FetchAt3(BPF_REG_10, kRecord + static_cast<int>(offsetof(FileRecord, close_on_exec)),
             sizeof FileRecord::close_on_exec);
  }
};

OpenFileRow RowOf(const FileRecord& record) {
  const bool close_on_exec = (record.close_on_exec >> (record.fd % 64) & 1) != 0;
  return {.number = static_cast<int>(record.fd),
          .open_file = record.file,
          .pos = static_cast<int64_t>(record.pos),
          .flags = (record.flags & ~static_cast<uint32_t>(O_CLOEXEC)) |
                   (close_on_exec ? static_cast<uint32_t>(O_CLOEXEC) : 0),
          .mount_id = record.mount_id,
          .inode = record.inode,
          .says_more = record.show_more != 0 || record.locks != 0,
          .may_be_owned = record.owner != 0};
}

}  // namespace

std::string FdInfoText(const OpenFileRow& row) {
  return absl::StrFormat("pos:\t%d\nflags:\t0%o\nmnt_id:\t%d\nino:\t%u\n", row.pos, row.flags,
                         row.mount_id, row.inode);
}

absl::StatusOr<BpfOpenFiles> BpfOpenFiles::Load() {
  ASSIGN_OR_RETURN(const KernelBtf btf, KernelBtf::Open());
  ASSIGN_OR_RETURN(const FileLayout layout, FindFileLayout(btf.bytes()));
  const std::vector<bpf_insn> program = FileProgram::Write(layout);
  ASSIGN_OR_RETURN(UniqueFd loaded, LoadBpfIterator(layout.function, program));
  return BpfOpenFiles(std::move(loaded));
}

absl::StatusOr<std::vector<OpenFileRow>> BpfOpenFiles::Read(pid_t tid) const {
  ASSIGN_OR_RETURN(const UniqueFd attached, AttachBpfIterator(program_, tid));
  std::vector<OpenFileRow> rows;
  RETURN_IF_ERROR(ReadBpfRecords(attached, sizeof(FileRecord),
                                 [&rows](std::string_view bytes) -> absl::StatusOr<bool> {
                                   FileRecord record;
                                   std::memcpy(&record, bytes.data(), sizeof record);
                                   OpenFileRow row = RowOf(record);
                                   // The kernel may start over behind the last one: see
                                   // BpfVmaIterator.
                                   if (!rows.empty() && row.number <= rows.back().number)
                                     return false;
                                   rows.push_back(row);
                                   return true;
                                 }));
  return rows;
}

}  // namespace dumpctl
