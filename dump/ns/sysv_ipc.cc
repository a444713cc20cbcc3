#include "dump/ns/sysv_ipc.h"

#include <sys/msg.h>
#include <sys/sem.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "dump/ns/namespaces.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "proc/proc_fs.h"
#include "proc/text_fields.h"

namespace dumpctl {
namespace {

static_assert(kOwnIpcNamespace > kOwnTimeNamespace);

// <sys/shm.h> has them for the kernel alone.
constexpr uint32_t kPermissions = 0777;
constexpr uint32_t kToBeRemoved = 01000;

uint64_t WholePages(uint64_t bytes) {
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

bool IsIn(std::span<const pid_t> tree, pid_t pid) {
  return std::find(tree.begin(), tree.end(), pid) != tree.end();
}

// semctl(2) wants the caller to declare it.
union Semun {
  int value;
  semid_ds* buffer;
  uint16_t* array;
};

absl::Status SemctlError(const SysvSemaphores& set) {
  return absl::ErrnoToStatus(errno, absl::StrCat("semctl of semaphores ", set.object.id));
}

absl::StatusOr<SysvIpc::Semaphores> ReadSemaphores(const SysvSemaphores& set) {
  SysvIpc::Semaphores read{.set = set, .values = {}, .last = {}};
  read.values.resize(set.count);
  if (semctl(set.object.id, 0, GETALL, Semun{.array = read.values.data()}) < 0) {
    return SemctlError(set);
  }
  for (uint64_t i = 0; i < set.count; ++i) {
    const int pid = semctl(set.object.id, static_cast<int>(i), GETPID, Semun{});
    if (pid < 0) return SemctlError(set);
    read.last.push_back(pid);
  }
  return read;
}

absl::Status ReadUsedSemaphores(const ProcDir& proc, std::span<const pid_t> tree, SysvIpc& ipc) {
  ASSIGN_OR_RETURN(const std::string text, proc.Read("sysvipc/sem"));
  ASSIGN_OR_RETURN(const std::vector<SysvSemaphores> sets, ParseSysvSemaphores(text));
  for (const SysvSemaphores& set : sets) {
    ASSIGN_OR_RETURN(SysvIpc::Semaphores read, ReadSemaphores(set));
    const auto used = [tree](pid_t pid) { return IsIn(tree, pid); };
    if (std::none_of(read.last.begin(), read.last.end(), used)) continue;
    ipc.semaphores.push_back(std::move(read));
  }
  return absl::OkStatus();
}

// The message at that place of a queue; none behind the last one. It stays there.
absl::StatusOr<std::optional<SysvIpc::Message>> PeekMessage(int id, size_t place, size_t room) {
  for (;; room *= 2) {
    std::string buffer(sizeof(long) + room, '\0');
    const ssize_t size =
        msgrcv(id, buffer.data(), room, static_cast<long>(place), IPC_NOWAIT | MSG_COPY);
    if (size < 0 && errno == E2BIG) continue;
    if (size < 0 && errno == ENOMSG) return std::nullopt;
    if (size < 0 && errno == ENOSYS) {
      return MakeFailure(Failure::kHost, absl::StatusCode::kFailedPrecondition,
                         "the kernel shows no messages of SysV queues: MSG_COPY "
                         "(CONFIG_CHECKPOINT_RESTORE) is needed");
    }
    if (size < 0) return absl::ErrnoToStatus(errno, absl::StrCat("msgrcv of queue ", id));
    SysvIpc::Message message;
    long type = 0;
    memcpy(&type, buffer.data(), sizeof type);
    message.type = type;
    message.text = buffer.substr(sizeof type, static_cast<size_t>(size));
    return message;
  }
}

absl::StatusOr<SysvIpc::Queue> ReadQueue(const SysvQueue& queue) {
  SysvIpc::Queue read{.queue = queue, .limit = 0, .messages = {}};
  msqid_ds facts = {};
  if (msgctl(queue.object.id, IPC_STAT, &facts) < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("msgctl of queue ", queue.object.id));
  }
  read.limit = facts.msg_qbytes;
  for (;;) {
    ASSIGN_OR_RETURN(std::optional<SysvIpc::Message> message,
                     PeekMessage(queue.object.id, read.messages.size(), queue.bytes + 1));
    if (!message) return read;
    read.messages.push_back(*std::move(message));
  }
}

absl::Status ReadUsedQueues(const ProcDir& proc, std::span<const pid_t> tree, SysvIpc& ipc) {
  ASSIGN_OR_RETURN(const std::string text, proc.Read("sysvipc/msg"));
  ASSIGN_OR_RETURN(const std::vector<SysvQueue> queues, ParseSysvQueues(text));
  for (const SysvQueue& queue : queues) {
    if (!IsIn(tree, queue.last_sender) && !IsIn(tree, queue.last_receiver)) continue;
    ASSIGN_OR_RETURN(SysvIpc::Queue read, ReadQueue(queue));
    ipc.queues.push_back(std::move(read));
  }
  if (ipc.queues.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string limit, proc.ReadWhole("sys/kernel/msgmnb"));
  const auto bytes = NumberOf<uint64_t>(Strip(limit));
  if (!bytes) return MalformedText("kernel/msgmnb", "value", limit);
  ipc.first_limit = *bytes;
  return absl::OkStatus();
}

// The first of them that lives and is outside of the tree. Who is dead by now needs nothing more.
std::optional<pid_t> StrangerAmong(std::span<const pid_t> users, std::span<const pid_t> tree) {
  for (const pid_t pid : users) {
    if (pid > 0 && !IsIn(tree, pid) && ProcDir::OpenTask(pid).ok()) return pid;
  }
  return std::nullopt;
}

ResourceRefusal StrangerRefusal(std::span<const pid_t> tree, std::string resource, pid_t stranger) {
  return {tree.front(), std::move(resource),
          absl::StrCat("process ", stranger,
                       " uses them too and is outside of the tree, which would be restored with a "
                       "copy of its own"),
          "dump the tree that has both"};
}

void SetDescription(const SysvObject& object, image::ipc_desc_entry* entry) {
  entry->set_key(static_cast<uint32_t>(object.key));
  entry->set_uid(object.uid);
  entry->set_gid(object.gid);
  entry->set_cuid(object.creator_uid);
  entry->set_cgid(object.creator_gid);
  entry->set_mode(object.mode & kPermissions);
  entry->set_id(static_cast<uint32_t>(object.id));
}

ResourceRefusal SegmentRefusal(pid_t pid, int32_t id, std::string why, std::string remedy) {
  return {pid, absl::StrCat("SysV shared memory segment ", id), std::move(why), std::move(remedy)};
}

ResourceRefusals RefuseSegments(const SysvIpc& ipc, std::span<const SysvAttachment> attachments) {
  ResourceRefusals refusals;
  for (const SysvSegment& segment : ipc.segments) {
    uint64_t ours = 0;
    pid_t pid = 0;
    for (const SysvAttachment& attachment : attachments) {
      if (attachment.id != segment.object.id) continue;
      pid = attachment.pid;
      ours += attachment.mappings;
      if (attachment.bytes == WholePages(segment.size)) continue;
      refusals.push_back(SegmentRefusal(pid, segment.object.id,
                                        "parts of it were unmapped, and a restore maps it whole",
                                        "let the program keep it whole, or detach it"));
    }
    if (segment.attached <= ours) continue;
    refusals.push_back(SegmentRefusal(
        pid, segment.object.id,
        "processes outside of the tree have it too, and a restore makes one for the tree alone",
        "dump the tree that has all of them, or let the others detach it (ipcs -m -p)"));
  }
  return refusals;
}

}  // namespace

std::vector<SysvAttachment> SysvAttachmentsOf(pid_t pid, const VmaList& vmas) {
  std::map<std::pair<int32_t, uint64_t>, SysvAttachment> attachments;
  for (const Vma& vma : vmas) {
    if (vma.kind != VmaKind::kSysvShm || vma.facts == nullptr) continue;
    const auto id = static_cast<int32_t>(vma.facts->shmem_id);
    const uint64_t base = vma.start().value() - vma.mapping.offset;
    SysvAttachment& attachment = attachments[{id, base}];
    attachment.pid = pid;
    attachment.base = base;
    attachment.id = id;
    attachment.bytes += vma.size();
    ++attachment.mappings;
  }
  std::vector<SysvAttachment> list;
  for (const auto& [place, attachment] : attachments) list.push_back(attachment);
  return list;
}

absl::StatusOr<SysvIpc> ReadSysvIpc(std::span<const SysvAttachment> attachments,
                                    std::span<const pid_t> tree) {
  SysvIpc ipc;
  if (attachments.empty()) return ipc;
  ASSIGN_OR_RETURN(const ProcDir proc, ProcDir::OpenRoot());
  std::set<int32_t> attached;
  for (const SysvAttachment& attachment : attachments) attached.insert(attachment.id);
  ASSIGN_OR_RETURN(const std::string shm, proc.Read("sysvipc/shm"));
  ASSIGN_OR_RETURN(std::vector<SysvSegment> segments, ParseSysvSegments(shm));
  for (SysvSegment& segment : segments) {
    if (attached.contains(segment.object.id)) ipc.segments.push_back(segment);
  }
  RETURN_IF_ERROR(ReadUsedSemaphores(proc, tree, ipc));
  RETURN_IF_ERROR(ReadUsedQueues(proc, tree, ipc));
  return ipc;
}

ResourceRefusals RefuseSysvIpc(const SysvIpc& ipc, std::span<const SysvAttachment> attachments,
                               std::span<const pid_t> tree) {
  ResourceRefusals refusals = RefuseSegments(ipc, attachments);
  for (const SysvIpc::Semaphores& semaphores : ipc.semaphores) {
    const auto stranger = StrangerAmong(semaphores.last, tree);
    if (!stranger) continue;
    refusals.push_back(StrangerRefusal(
        tree, absl::StrCat("SysV semaphores ", semaphores.set.object.id), *stranger));
  }
  for (const SysvIpc::Queue& queue : ipc.queues) {
    const std::string name = absl::StrCat("SysV message queue ", queue.queue.object.id);
    const pid_t users[] = {queue.queue.last_sender, queue.queue.last_receiver};
    if (const auto stranger = StrangerAmong(users, tree)) {
      refusals.push_back(StrangerRefusal(tree, name, *stranger));
    }
    if (queue.queue.bytes <= ipc.first_limit) continue;
    refusals.push_back(
        {tree.front(), name,
         absl::StrCat("it holds ", queue.queue.bytes,
                      " bytes, and one that a restore makes may hold ", ipc.first_limit),
         "dump it when its reader has caught up, or raise kernel.msgmnb (sysctl)"});
  }
  return refusals;
}

std::vector<std::string> NotCaptured(const SysvIpc& ipc) {
  std::vector<std::string> words;
  if (ipc.empty()) return words;
  words.push_back(
      "the host's IPC namespace: a restore makes one of its own for the tree, with the SysV "
      "objects that the tree uses");
  for (const SysvSegment& segment : ipc.segments) {
    if ((segment.object.mode & kToBeRemoved) == 0) continue;
    words.push_back(absl::StrCat("that SysV shared memory segment ", segment.object.id,
                                 " goes with its last user: restored, it goes with the tree"));
  }
  for (const SysvIpc::Queue& queue : ipc.queues) {
    if (queue.limit == ipc.first_limit) continue;
    words.push_back(absl::StrCat("how much SysV message queue ", queue.queue.object.id,
                                 " may hold: restored, it is kernel.msgmnb"));
  }
  if (!ipc.semaphores.empty()) words.push_back("undo values of SysV semaphores (SEM_UNDO)");
  return words;
}

image::ipc_shm_entry SegmentEntry(const SysvSegment& segment) {
  image::ipc_shm_entry entry;
  SetDescription(segment.object, entry.mutable_desc());
  entry.set_size(segment.size);
  entry.set_in_pagemaps(true);
  return entry;
}

SemaphoreData SemaphoreEntry(const SysvIpc::Semaphores& semaphores) {
  SemaphoreData data;
  SetDescription(semaphores.set.object, data.entry.mutable_desc());
  data.entry.set_nsems(static_cast<uint32_t>(semaphores.values.size()));
  for (const uint16_t value : semaphores.values) {
    data.bytes.push_back(static_cast<char>(value & 0xff));
    data.bytes.push_back(static_cast<char>(value >> 8));
  }
  // To a whole number of words of 8 bytes.
  data.bytes.resize((data.bytes.size() + 7) / 8 * 8);
  return data;
}

image::ipc_msg_entry QueueEntry(const SysvIpc::Queue& queue) {
  image::ipc_msg_entry entry;
  SetDescription(queue.queue.object, entry.mutable_desc());
  entry.set_qbytes(static_cast<uint32_t>(queue.limit));
  entry.set_qnum(static_cast<uint32_t>(queue.messages.size()));
  return entry;
}

MessageData MessageEntry(const SysvIpc::Message& message) {
  MessageData data;
  data.entry.set_mtype(static_cast<uint64_t>(message.type));
  data.entry.set_msize(static_cast<uint32_t>(message.text.size()));
  data.bytes = message.text;
  data.bytes.resize((data.bytes.size() + 7) / 8 * 8);
  return data;
}

absl::StatusOr<image::ipc_var_entry> ReadIpcLimits() {
  ASSIGN_OR_RETURN(const ProcDir proc, ProcDir::OpenRoot());
  const auto numbers = [&proc](const char* name) -> absl::StatusOr<std::vector<uint64_t>> {
    ASSIGN_OR_RETURN(const std::string text, proc.ReadWhole(absl::StrCat("sys/", name)));
    std::vector<uint64_t> values;
    for (const std::string_view word : Words(text)) {
      const auto value = NumberOf<uint64_t>(word);
      if (!value) return MalformedText(name, "value", text);
      values.push_back(*value);
    }
    if (values.empty()) return MalformedText(name, "value", text);
    return values;
  };
  image::ipc_var_entry entry;
  ASSIGN_OR_RETURN(const std::vector<uint64_t> sem, numbers("kernel/sem"));
  for (const uint64_t value : sem) entry.add_sem_ctls(static_cast<uint32_t>(value));
  using Setter = void (image::ipc_var_entry::*)(uint32_t);
  constexpr std::pair<const char*, Setter> kLimits[] = {
      {"kernel/msgmax", &image::ipc_var_entry::set_msg_ctlmax},
      {"kernel/msgmnb", &image::ipc_var_entry::set_msg_ctlmnb},
      {"kernel/msgmni", &image::ipc_var_entry::set_msg_ctlmni},
      {"kernel/auto_msgmni", &image::ipc_var_entry::set_auto_msgmni},
      {"kernel/shmmni", &image::ipc_var_entry::set_shm_ctlmni},
      {"kernel/shm_rmid_forced", &image::ipc_var_entry::set_shm_rmid_forced},
      {"fs/mqueue/queues_max", &image::ipc_var_entry::set_mq_queues_max},
      {"fs/mqueue/msg_max", &image::ipc_var_entry::set_mq_msg_max},
      {"fs/mqueue/msgsize_max", &image::ipc_var_entry::set_mq_msgsize_max},
      {"fs/mqueue/msg_default", &image::ipc_var_entry::set_mq_msg_default},
      {"fs/mqueue/msgsize_default", &image::ipc_var_entry::set_mq_msgsize_default},
  };
  for (const auto& [name, set] : kLimits) {
    ASSIGN_OR_RETURN(const std::vector<uint64_t> values, numbers(name));
    (entry.*set)(static_cast<uint32_t>(values.front()));
  }
  ASSIGN_OR_RETURN(const std::vector<uint64_t> shmmax, numbers("kernel/shmmax"));
  entry.set_shm_ctlmax(shmmax.front());
  ASSIGN_OR_RETURN(const std::vector<uint64_t> shmall, numbers("kernel/shmall"));
  entry.set_shm_ctlall(shmall.front());
  return entry;
}

}  // namespace dumpctl
