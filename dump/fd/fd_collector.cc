#include "dump/fd/fd_collector.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/fd/eventfd_file.h"
#include "dump/fd/fanotify_file.h"
#include "dump/fd/file_locks.h"
#include "dump/fd/file_refusal.h"
#include "dump/fd/inotify_file.h"
#include "dump/fd/open_file.h"
#include "dump/fd/proc_file.h"
#include "dump/fd/signalfd_file.h"
#include "dump/fd/timerfd_file.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

constexpr WhyNot kPackets = {"it holds packets (O_DIRECT), whose bounds no restore can put back",
                             "dump it when its reader has caught up"};

constexpr WhyNot kLostWatch = {
    "it watches an open file of which the process has no descriptor left",
    "let the program remove what it watches before it closes it"};

std::string NameOf(const Descriptor& descriptor, const std::string& link) {
  const std::string where = descriptor.number == kInQueue ? "what waits in a socket's queue"
                                                          : absl::StrCat("fd ", descriptor.number);
  return absl::StrCat(where, " (", std::string(FileTypeName(descriptor.stat, link)), ", ", link,
                      ")");
}

constexpr WhyNot kLeasedGhost = {"it is deleted, and under a lease",
                                 "let the program give up the lease"};
constexpr WhyNot kLockInQueue = {"no restore sets a lock through a descriptor that no process has",
                                 "let the program that it was sent to receive it"};

constexpr WhyNot kOwnedByThread = {
    "a thread is told of its input (F_SETOWN_EX), and a restore makes threads after it has set "
    "that",
    "let the process be told: F_OWNER_PID"};

constexpr WhyNot kUnreadEvents = {"events wait in it, for which images have no place",
                                  "dump it when its reader has caught up"};

constexpr WhyNot kTimerInQueue = {"no restore sets a timer that no process has",
                                  "let the program that it was sent to receive it"};

// Stock restore empties each of them through the descriptor of a process.
constexpr WhyNot kInotifyInQueue = {"no restore makes an inotify that no process has",
                                    "let the program that it was sent to receive it"};

WhyNotText TextOf(const WhyNot& why_not) {
  return {std::string(why_not.why), std::string(why_not.remedy)};
}

ResourceRefusal Refusal(pid_t pid, const Descriptor& descriptor, const std::string& link,
                        const WhyNotText& why_not) {
  return {pid, NameOf(descriptor, link), why_not.why, why_not.remedy};
}

ResourceRefusal Refusal(pid_t pid, const Descriptor& descriptor, const std::string& link,
                        const WhyNot& why_not) {
  return Refusal(pid, descriptor, link, TextOf(why_not));
}

absl::StatusOr<std::optional<WhyNot>> WhyNotKind(const Descriptor& descriptor, FileKind kind,
                                                 WatchedFiles& watched) {
  switch (kind) {
    case FileKind::kPipe:
    case FileKind::kSignalfd:
    case FileKind::kUnixSocket:
    case FileKind::kMemfd:
    case FileKind::kInetSocket:
    case FileKind::kTerminal:
    case FileKind::kNetlinkSocket:
    case FileKind::kPacketSocket:
      return std::nullopt;
    case FileKind::kEpoll:
      if (descriptor.watches && !descriptor.watches->lost.empty()) return kLostWatch;
      return std::nullopt;
    case FileKind::kEventfd:
      return WhyNotEventfd(descriptor.info_text);
    case FileKind::kTimerfd:
      return WhyNotTimerfd(descriptor.info_text);
    case FileKind::kInotify:
      if (descriptor.number == kInQueue) return kInotifyInQueue;
      if (descriptor.waiting > 0) return kUnreadEvents;
      return WhyNotInotify(descriptor.info_text, watched);
    case FileKind::kFanotify:
      if (descriptor.waiting > 0) return kUnreadEvents;
      return WhyNotFanotify(descriptor.info_text, watched);
    default:
      return std::nullopt;
  }
}

// What a restore is given it opens by no name, whatever it is.
FileKind KindOf(const Descriptor& descriptor, const std::string& link, const FdInfo& info,
                const FileRules& rules) {
  const bool external =
      link.starts_with('/') &&
      ExternalAmong(rules, descriptor.stat, static_cast<uint64_t>(info.mount_id)).has_value();
  return external ? FileKind::kPath : FileKindOf(descriptor.stat, link, info.flags);
}

absl::StatusOr<std::optional<WhyNotText>> WhyRefused(const Descriptor& descriptor, FileKind kind,
                                                     const std::string& link, const FdInfo& info,
                                                     const FileRules& rules,
                                                     WatchedFiles& watched) {
  std::optional<WhyNot> why_not;
  if (kind == FileKind::kOther) why_not = WhyNotDumpable(descriptor.stat, link, info);
  if (!why_not) {
    ASSIGN_OR_RETURN(why_not, WhyNotKind(descriptor, kind, watched));
  }
  if (!why_not) {
    ASSIGN_OR_RETURN(why_not, WhyNotLocked(info.locks, rules.locks));
  }
  if (why_not) return TextOf(*why_not);
  if (!HasName(kind) || descriptor.named) return std::nullopt;
  const FileName name = ReadName(descriptor.stat, link, rules);
  // It would be read through a file opened anew, which breaks the lease.
  if (name.ghost(descriptor.stat) && HasLease(descriptor.info_text)) return TextOf(kLeasedGhost);
  return WhyNotNamed(descriptor.stat, name, static_cast<uint64_t>(info.mount_id), rules);
}

bool CanRead(const FdInfo& info) {
  return (info.flags & O_PATH) == 0 && (info.flags & O_ACCMODE) != O_WRONLY;
}

void FillOwner(const FileOwner& from, image::fown_entry* to) {
  to->set_uid(from.uid);
  to->set_euid(from.euid);
  to->set_signum(static_cast<uint32_t>(from.signal));
  to->set_pid_type(static_cast<uint32_t>(from.pid_type));
  to->set_pid(static_cast<uint32_t>(from.pid));
}

image::fd_types TypeOf(FileKind kind) {
  switch (kind) {
    case FileKind::kPipe:
      return image::PIPE;
    case FileKind::kFifo:
      return image::FIFO;
    case FileKind::kEventfd:
      return image::EVENTFD;
    case FileKind::kTimerfd:
      return image::TIMERFD;
    case FileKind::kSignalfd:
      return image::SIGNALFD;
    case FileKind::kEpoll:
      return image::EVENTPOLL;
    case FileKind::kInotify:
      return image::INOTIFY;
    case FileKind::kFanotify:
      return image::FANOTIFY;
    case FileKind::kPidfd:
      return image::PIDFD;
    case FileKind::kUnixSocket:
      return image::UNIXSK;
    case FileKind::kMemfd:
      return image::MEMFD;
    case FileKind::kInetSocket:
      return image::INETSK;
    case FileKind::kNamespace:
      return image::NS;
    case FileKind::kTerminal:
      return image::TTY;
    case FileKind::kNetlinkSocket:
      return image::NETLINKSK;
    case FileKind::kPacketSocket:
      return image::PACKETSK;
    default:
      return image::REG;
  }
}

// What the entry of every kind has.
template <typename Entry>
void SetCommon(uint32_t id, uint32_t flags, const Descriptor& descriptor, Entry* entry) {
  entry->set_id(id);
  entry->set_flags(flags);
  FillOwner(descriptor.owner, entry->mutable_fown());
}

absl::Status FillRegular(const Descriptor& descriptor, const FdInfo& info, uint32_t flags,
                         const std::string& link, FileTable& files, image::file_entry& entry) {
  image::reg_file_entry& regular = *entry.mutable_reg();
  SetCommon(entry.id(), flags, descriptor, &regular);
  regular.set_pos(info.pos);
  return files.SetName(descriptor.stat, ReadName(descriptor.stat, link, files.rules()),
                       static_cast<uint64_t>(info.mount_id), regular);
}

}  // namespace

absl::StatusOr<FdCollector> FdCollector::Create(const TeedPipes& pipes, bool with_dupfd_query,
                                                WatchedFiles& watched, FileTable& files) {
  ASSIGN_OR_RETURN(ProcDir self, ProcDir::OpenOwn());
  return FdCollector(std::move(self), pipes, with_dupfd_query, watched, files);
}

absl::StatusOr<std::vector<image::fdinfo_entry>> FdCollector::Collect(
    pid_t pid, const std::vector<Descriptor>& descriptors) {
  pid_ = pid;
  std::vector<image::fdinfo_entry> entries;
  entries.reserve(descriptors.size());
  files_.Expect(descriptors.size());
  for (const Descriptor& descriptor : descriptors) {
    RETURN_IF_ERROR(Add(descriptor, entries));
  }
  return entries;
}

absl::StatusOr<std::vector<uint32_t>> FdCollector::CollectQueued(
    pid_t pid, const std::vector<Descriptor>& descriptors) {
  pid_ = pid;
  std::vector<uint32_t> ids;
  for (const Descriptor& descriptor : descriptors) {
    std::vector<image::fdinfo_entry> entry;
    RETURN_IF_ERROR(Add(descriptor, entry));
    ids.push_back(entry.empty() ? 0 : entry.front().id());
  }
  return ids;
}

absl::Status FdCollector::Add(const Descriptor& descriptor,
                              std::vector<image::fdinfo_entry>& entries) {
  ASSIGN_OR_RETURN(const FdInfo info, InfoOf(descriptor));
  std::string asked;
  if (!descriptor.link) {
    ASSIGN_OR_RETURN(asked, DescriptorLink(self_, descriptor.copy.get()));
  }
  const std::string& link = descriptor.link ? *descriptor.link : asked;
  const FileKind kind = KindOf(descriptor, link, info, files_.rules());
  ASSIGN_OR_RETURN(const std::optional<WhyNotText> why_not,
                   WhyRefused(descriptor, kind, link, info, files_.rules(), watched_));
  if (why_not) {
    files_.Refuse(Refusal(pid_, descriptor, link, *why_not));
    return absl::OkStatus();
  }
  if (descriptor.owner.later_thread) {
    files_.Refuse(Refusal(pid_, descriptor, link, kOwnedByThread));
    return absl::OkStatus();
  }
  if (descriptor.number == kInQueue && !info.locks.empty()) {
    files_.Refuse(Refusal(pid_, descriptor, link, kLockInQueue));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const uint32_t id, FileIdOf(descriptor, kind, info, link));
  RETURN_IF_ERROR(locks_.Add(pid_, descriptor.number, id, info.locks));
  image::fdinfo_entry& entry = entries.emplace_back();
  entry.set_id(id);
  entry.set_flags((info.flags & O_CLOEXEC) != 0 ? FD_CLOEXEC : 0);
  entry.set_type(TypeOf(kind));
  entry.set_fd(static_cast<uint32_t>(descriptor.number));
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> FdCollector::FileIdOf(const Descriptor& descriptor, FileKind kind,
                                               const FdInfo& info, const std::string& link) {
  const uint32_t flags = info.flags & ~static_cast<uint32_t>(O_CLOEXEC);
  uint32_t open_file = descriptor.open_file;
  if (open_file == 0) {
    ASSIGN_OR_RETURN(open_file, copies_.NumberOf(getpid(), descriptor.copy.get(),
                                                 LikenessOf(descriptor.stat, info)));
  }
  const auto known = ids_.find(open_file);
  if (known != ids_.end()) return known->second;
  ASSIGN_OR_RETURN(const uint32_t id, AddFile(descriptor, kind, info, flags, link));
  ids_.emplace(open_file, id);
  return id;
}

absl::StatusOr<uint32_t> FdCollector::AddFile(const Descriptor& descriptor, FileKind kind,
                                              const FdInfo& info, uint32_t flags,
                                              const std::string& link) {
  const uint32_t id = files_.NextId();
  image::file_entry entry;
  entry.set_id(id);
  entry.set_type(TypeOf(kind));
  switch (kind) {
    case FileKind::kPipe: {
      image::pipe_entry* pipe = entry.mutable_pipe();
      pipe->set_id(id);
      pipe->set_pipe_id(static_cast<uint32_t>(descriptor.stat.st_ino));
      pipe->set_flags(flags);
      FillOwner(descriptor.owner, pipe->mutable_fown());
      RETURN_IF_ERROR(AddContents(descriptor, flags, link, pipe_data_));
      break;
    }
    case FileKind::kFifo: {
      // A fifo is a pipe and the file it was opened by, which has to stand before it.
      const uint32_t path_id = files_.NextId();
      image::file_entry path;
      path.set_type(image::REG);
      path.set_id(path_id);
      RETURN_IF_ERROR(FillRegular(descriptor, info, flags, link, files_, path));
      files_.Add(std::move(path));
      image::fifo_entry* fifo = entry.mutable_fifo();
      fifo->set_id(id);
      fifo->set_pipe_id(static_cast<uint32_t>(descriptor.stat.st_ino));
      fifo->set_regf_id(path_id);
      RETURN_IF_ERROR(AddContents(descriptor, flags, link, fifo_data_));
      break;
    }
    case FileKind::kEventfd: {
      ASSIGN_OR_RETURN(*entry.mutable_efd(), EventfdEntry(descriptor.info_text));
      SetCommon(id, flags, descriptor, entry.mutable_efd());
      break;
    }
    case FileKind::kTimerfd: {
      if (descriptor.number == kInQueue) {
        files_.Refuse(Refusal(pid_, descriptor, link, kTimerInQueue));
      }
      ASSIGN_OR_RETURN(*entry.mutable_tfd(), TimerfdEntry(descriptor.info_text));
      SetCommon(id, flags, descriptor, entry.mutable_tfd());
      break;
    }
    case FileKind::kSignalfd: {
      ASSIGN_OR_RETURN(*entry.mutable_sgfd(), SignalfdEntry(descriptor.info_text));
      SetCommon(id, flags, descriptor, entry.mutable_sgfd());
      break;
    }
    case FileKind::kEpoll: {
      if (descriptor.watches) *entry.mutable_epfd() = descriptor.watches->entry;
      SetCommon(id, flags, descriptor, entry.mutable_epfd());
      break;
    }
    case FileKind::kInotify: {
      ASSIGN_OR_RETURN(*entry.mutable_ify(), InotifyEntry(descriptor.info_text, watched_));
      SetCommon(id, flags, descriptor, entry.mutable_ify());
      break;
    }
    case FileKind::kFanotify: {
      ASSIGN_OR_RETURN(*entry.mutable_ffy(), FanotifyEntry(descriptor.info_text, watched_));
      SetCommon(id, flags, descriptor, entry.mutable_ffy());
      break;
    }
    case FileKind::kPidfd:
    case FileKind::kUnixSocket:
    case FileKind::kMemfd:
    case FileKind::kInetSocket:
    case FileKind::kNamespace:
    case FileKind::kTerminal:
    case FileKind::kNetlinkSocket:
    case FileKind::kPacketSocket: {
      ASSIGN_OR_RETURN(std::optional<image::file_entry> made, Make(descriptor, id, flags, link));
      if (!made) return id;
      entry = *std::move(made);
      break;
    }
    default: {
      RETURN_IF_ERROR(FillRegular(descriptor, info, flags, link, files_, entry));
    }
  }
  files_.Add(std::move(entry));
  return id;
}

absl::StatusOr<std::optional<image::file_entry>> FdCollector::Make(const Descriptor& descriptor,
                                                                   uint32_t id, uint32_t flags,
                                                                   const std::string& link) {
  const auto maker = makers_.find(FileKindOf(descriptor.stat, link, flags));
  if (maker == makers_.end()) {
    return absl::InternalError(absl::StrCat("nobody makes an entry of ", link));
  }
  image::fown_entry owner;
  FillOwner(descriptor.owner, &owner);
  ASSIGN_OR_RETURN(MadeFile made, maker->second(descriptor, id, flags, owner));
  if (auto* entry = std::get_if<image::file_entry>(&made)) return std::move(*entry);
  const auto& why_not = std::get<WhyNotText>(made);
  files_.Refuse({pid_, NameOf(descriptor, link), why_not.why, why_not.remedy});
  return std::nullopt;
}

absl::Status FdCollector::AddContents(const Descriptor& descriptor, uint32_t flags,
                                      const std::string& link, std::vector<PipeData>& list) {
  const auto teed = pipes_.find(descriptor.stat.st_ino);
  if (teed == pipes_.end()) return absl::OkStatus();
  // The bytes do not tell a single packet from plain bytes, but an end that writes packets does.
  const bool writes_packets = (flags & O_DIRECT) != 0 && teed->second.bytes > 0;
  if (writes_packets) files_.Refuse(Refusal(pid_, descriptor, link, kPackets));
  if (!written_.insert(descriptor.stat.st_ino).second) return absl::OkStatus();
  PipeData data;
  ASSIGN_OR_RETURN(PipeBytes contents, ReadTeed(teed->second));
  if (contents.packets && !writes_packets) {
    files_.Refuse(Refusal(pid_, descriptor, link, kPackets));
  }
  data.bytes = std::move(contents.bytes);
  data.entry.set_pipe_id(static_cast<uint32_t>(descriptor.stat.st_ino));
  data.entry.set_bytes(static_cast<uint32_t>(data.bytes.size()));
  data.entry.set_size(teed->second.capacity);
  list.push_back(std::move(data));
  return absl::OkStatus();
}

absl::StatusOr<TeedPipes> TeePipes(const std::vector<Descriptor>& descriptors, TeedPipes known) {
  for (const Descriptor& descriptor : descriptors) {
    if (!S_ISFIFO(descriptor.stat.st_mode)) continue;
    // What a task has only the write end of is for somebody else to read.
    ASSIGN_OR_RETURN(const FdInfo info, InfoOf(descriptor));
    if (!CanRead(info) || known.contains(descriptor.stat.st_ino)) continue;
    if (descriptor.empty_pipe) {
      known[descriptor.stat.st_ino].capacity = *descriptor.empty_pipe;
      continue;
    }
    ASSIGN_OR_RETURN(TeedPipe teed, TeePipe(BorrowedFd(descriptor.copy)));
    known.emplace(descriptor.stat.st_ino, std::move(teed));
  }
  return known;
}

absl::StatusOr<ResourceRefusals> RefuseDescriptors(pid_t pid,
                                                   const std::vector<Descriptor>& descriptors,
                                                   const FileRules& rules) {
  ResourceRefusals refusals;
  WatchedFiles watched;
  for (const Descriptor& descriptor : descriptors) {
    ASSIGN_OR_RETURN(const FdInfo info, InfoOf(descriptor));
    const std::string& link = descriptor.link.value();
    ASSIGN_OR_RETURN(
        const std::optional<WhyNotText> why_not,
        WhyRefused(descriptor, KindOf(descriptor, link, info, rules), link, info, rules, watched));
    if (why_not) refusals.push_back(Refusal(pid, descriptor, link, *why_not));
  }
  return refusals;
}

}  // namespace dumpctl
