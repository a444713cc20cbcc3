#ifndef DUMP_FD_DESCRIPTOR_H_
#define DUMP_FD_DESCRIPTOR_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/fd/epoll_file.h"
#include "dump/fd/open_file.h"
#include "dumpctl/unique_fd.h"
#include "proc/bpf_open_files.h"
#include "proc/fdinfo_parser.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// Who gets SIGIO of an open file (fcntl(2): F_SETOWN_EX, F_SETSIG).
struct FileOwner {
  int signal = 0;    // 0: SIGIO
  int pid_type = 0;  // F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP
  int pid = 0;       // 0: nobody
  uint32_t uid = 0;  // whose rights sending it is checked with (F_GETOWNER_UIDS)
  uint32_t euid = 0;
  bool later_thread = false;  // it is a thread that is not the first of its process
};

// One descriptor of a task, as it was read. Text of procfs stays text: it is parsed after the
// freeze.
struct Descriptor {
  // What most who go through many of them look at lies together.
  int number = 0;
  uint32_t open_file = 0;  // OpenFileIndex::NumberOf; 0 without an index
  // The same open file among our own descriptors: it pins what stands behind, so that the rest can
  // be asked when the task runs again, or is dead. None when read from a running task.
  UniqueFd copy;
  int copy_number = -1;  // that it had, when it has been closed (SettleCopies)
  struct stat stat = {};
  // fdinfo; only what stands below its head, where that is known without the text (OpenFileRow).
  std::string info_text;
  std::optional<FdInfo> info;  // that head
  FileOwner owner;
  // Bytes of events that wait in an inotify or a fanotify. 0 when read from a running task.
  int waiting = 0;
  // What its link says (DescriptorLink), where there is no copy to ask (of a running task, and
  // where the copy was given up), or where it is known without (OpenFileRow). What says a name in a
  // file system is told before the tasks run again (ReadNamedLinks).
  std::optional<std::string> link;
  // That link was seen to lead to the very file.
  bool named = false;
  // Of a pipe that is known to hold nothing: OpenFileRow::empty_pipe.
  std::optional<uint32_t> empty_pipe;
  // OpenFileRow::record, where it says all that stands here, of a running task.
  std::string record;
  // Of an epoll that watches something. None when read from a running task.
  std::optional<EpollWatches> watches;
};

// The head of its fdinfo. Errors: ParseFdInfo's.
absl::StatusOr<FdInfo> InfoOf(const Descriptor& descriptor);

// All descriptors of a frozen task, ascending. `pidfd` refers to it (pidfd_open(2)).
//
// Errors: PermissionDenied without PTRACE_MODE_ATTACH rights (pidfd_getfd(2)), ResourceExhausted
// when our own RLIMIT_NOFILE is smaller than what the task has open.
//
// With an `index`, for which the tasks have to stand still, copies are kept only of what cannot be
// told without: one of each pipe that can be read from, of each file without a name, and of each
// socket but unix sockets, of which there may be many; and all of terminals.
//
// Where the index goes by BPF, so does most of the rest. What has not changed since it was peeked
// at is taken from `peeked` then (PeekDescriptors).
absl::StatusOr<std::vector<Descriptor>> ReadDescriptors(const ProcDir& task, pid_t pid,
                                                        BorrowedFd pidfd, OpenFileIndex* index,
                                                        std::vector<Descriptor> peeked = {});

// The same of files that no descriptor of a task refers to, for they wait in the queue of a socket
// (SCM_RIGHTS, unix(7)). `copies` are ours. Their number is kInQueue.
absl::StatusOr<std::vector<Descriptor>> DescribeCopies(std::vector<UniqueFd> copies,
                                                       OpenFileIndex* index);
inline constexpr int kInQueue = -1;

// Fills `open_file` of all that DescribeCopies has given, where the index goes by BPF: then it is
// told of all at once.
absl::Status NumberCopies(OpenFileIndex& index, std::vector<Descriptor>& copies);

// Which descriptors a running task has, ascending, and of what files.
struct Glance {
  int number = 0;
  struct stat stat = {};
};
absl::StatusOr<std::vector<Glance>> GlanceAtDescriptors(const ProcDir& task);

// As ReadDescriptors, of a running task, without copies: nothing of the task is held, not even for
// a moment. Descriptors that are closed meanwhile are left out.
absl::StatusOr<std::vector<Descriptor>> PeekDescriptors(const ProcDir& task);
absl::StatusOr<std::vector<Descriptor>> PeekDescriptors(const ProcDir& task,
                                                        std::span<const Glance> glances);
// By BPF, as far as that tells of them; `count` of them or more are expected.
absl::StatusOr<std::vector<Descriptor>> PeekDescriptors(const ProcDir& task, pid_t pid,
                                                        const BpfOpenFiles& by_bpf, size_t count);

// A descriptor of a task among our own; none where it has been closed.
UniqueFd CopyDescriptor(BorrowedFd pidfd, int number);
// The same of a frozen task, which ReadDescriptors did not keep. Errors: likewise.
absl::StatusOr<UniqueFd> TakeCopy(const ProcDir& task, BorrowedFd pidfd, int number);

// Whether ReadDescriptors with an index keeps a copy of it, or of another descriptor of that file.
bool IsKept(const Descriptor& descriptor);

// The number of descriptors that a task has.
absl::StatusOr<size_t> CountDescriptors(const ProcDir& task);
// The same at once, as st_size tells it (Linux 6.2); 0 where it does not.
size_t QuickCountOfDescriptors(const ProcDir& task);

// Fills `link` of those that have copies alone and are found by a name in a file system, which may
// be another when the task runs again.
absl::Status ReadNamedLinks(const ProcDir& self, std::vector<Descriptor>& descriptors);

// Learns what copies alone tell of these, which are all of a tree, and closes them: what runs again
// shall not have its sockets and pipes held open by us. `with_dupfd_query`: see OpenFileIndex.
absl::Status SettleCopies(const ProcDir& self, bool with_dupfd_query,
                          std::span<std::vector<Descriptor>* const> tables);

// What a descriptor's link says ("/etc/passwd", "pipe:[4711]", "socket:[4712] (TCP)").
absl::StatusOr<std::string> DescriptorLink(const ProcDir& task, int number);

}  // namespace dumpctl

#endif  // DUMP_FD_DESCRIPTOR_H_
