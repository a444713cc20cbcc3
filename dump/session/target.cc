#include "dump/session/target.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dumpctl/capabilities.h"
#include "dumpctl/failure.h"
#include "dumpctl/printable.h"
#include "dumpctl/status_macros.h"
#include "proc/children_parser.h"
#include "proc/status_parser.h"

namespace dumpctl {
namespace {

absl::Status Refuse(Failure failure, std::string_view message) {
  return MakeFailure(failure, absl::StatusCode::kFailedPrecondition, message);
}

absl::Status NoSuchTask(pid_t pid) {
  return MakeFailure(Failure::kNoSuchTask, absl::StatusCode::kNotFound,
                     absl::StrCat("there is no process ", pid, "; see ps -e"));
}

std::string NameOf(pid_t pid, const TaskStat& stat) {
  return absl::StrCat("process ", pid, " (", Printable(stat.comm), ")");
}

// NotFound when a task vanishes while it is looked at.
absl::StatusOr<TaskStat> StatOf(const ProcDir& dir) {
  ASSIGN_OR_RETURN(const std::string text, dir.ReadWhole("stat"));
  return ParseStat(text);
}

// What decides about every task alike.
struct Dumper {
  uint64_t capabilities = 0;  // effective ones, bit n = capability n
};

bool IsOurAncestor(pid_t pid, const TaskStat& stat) {
  // 0 where the parent is of another pid namespace.
  for (pid_t ancestor = getppid(); ancestor > 1;) {
    if (ancestor == pid) return true;
    const absl::StatusOr<TaskStat> theirs = StatOfTask(ancestor);
    // Whoever comes behind one who is older is older still: children that lose their parent are
    // given to somebody above it.
    if (!theirs.ok() || theirs->start_time < stat.start_time) return false;
    ancestor = theirs->ppid;
  }
  return false;
}

// Of the root. If it is none, then nobody below it is.
absl::Status RefuseAncestor(pid_t pid, const TaskStat& stat, const std::string& name) {
  const bool itself = pid == getpid();
  if (!itself && !IsOurAncestor(pid, stat)) return absl::OkStatus();
  return Refuse(Failure::kSelfOrAncestor,
                absl::StrCat(name, itself ? " is dumpctl itself"
                                          : " is an ancestor of dumpctl: freezing it could stop "
                                            "the dump; start dumpctl from elsewhere"));
}

absl::Status RefuseZombie(const std::string& name, const TaskStat& stat, const TaskStatus& status) {
  if (!stat.zombie()) return absl::OkStatus();
  if (status.threads > 1) {
    return Refuse(Failure::kZombie,
                  absl::StrCat(name, " has lost its main thread while ", status.threads - 1,
                               " others go on, which no image can hold; restart the program"));
  }
  return Refuse(Failure::kZombie,
                absl::StrCat(name, " is a zombie: nothing is left of it but an exit status for ",
                             "its parent, process ", stat.ppid));
}

absl::Status RefuseTraced(const std::string& name, const TaskStatus& status) {
  if (status.tracer_pid == 0) return absl::OkStatus();
  std::string tracer = absl::StrCat("process ", status.tracer_pid);
  if (const auto stat = StatOfTask(status.tracer_pid); stat.ok()) {
    tracer = NameOf(status.tracer_pid, *stat);
  }
  return Refuse(Failure::kAlreadyTraced, absl::StrCat(name, " is traced by ", tracer,
                                                      ": end that debugger or tracer first"));
}

absl::Status NeedsPtrace(const std::string& name) {
  return MakeFailure(Failure::kPermission, absl::StatusCode::kPermissionDenied,
                     absl::StrCat("tracing ", name,
                                  " needs CAP_SYS_PTRACE: run dumpctl as root, or give it the "
                                  "capability"));
}

absl::Status RefuseForeignAbi(const ProcDir& dir, const std::string& name) {
  const auto exe = dir.Open("exe", O_RDONLY | O_NONBLOCK);
  // Deleted, overmounted or on a file system that is gone: the registers tell later.
  if (!exe.ok()) return absl::OkStatus();
  unsigned char ident[EI_NIDENT] = {};
  if (pread(exe->get(), ident, sizeof ident, 0) != sizeof ident) return absl::OkStatus();
  if (std::memcmp(ident, ELFMAG, SELFMAG) == 0 && ident[EI_CLASS] == ELFCLASS32) {
    return Refuse(Failure::kForeignAbi,
                  absl::StrCat(name,
                               " is a 32-bit (or x32) program, which this version does not "
                               "dump; run a 64-bit build of it"));
  }
  return absl::OkStatus();
}

// Asks the kernel rather than guess from ids and capability sets.
absl::Status RefuseWithoutRights(const Dumper& dumper, const ProcDir& dir,
                                 const std::string& name) {
  const auto memory = dir.Open("mem", O_RDWR);
  if (absl::IsPermissionDenied(memory.status())) return NeedsPtrace(name);
  RETURN_IF_ERROR(memory.status());
  // Following links there is what needs the capability, so an empty directory shows nothing.
  if (!HasCapability(dumper.capabilities, CAP_SYS_ADMIN) &&
      !HasCapability(dumper.capabilities, CAP_CHECKPOINT_RESTORE)) {
    return MakeFailure(Failure::kPermission, absl::StatusCode::kPermissionDenied,
                       absl::StrCat("dumping ", name,
                                    " needs CAP_CHECKPOINT_RESTORE (or CAP_SYS_ADMIN): run "
                                    "dumpctl as root, or give it the capability"));
  }
  return absl::OkStatus();
}

// Of all its threads, as far as they stay while we look.
std::vector<pid_t> ChildrenOf(pid_t pid, const ProcDir& task, ThreadRows* reader) {
  std::vector<pid_t> children;
  const absl::StatusOr<std::vector<int>> threads = ListThreads(task, pid);
  if (!threads.ok()) return children;
  ThreadRows::ByTid rows;
  if (reader != nullptr) rows = reader->Learn(pid, threads->size());
  for (const int thread : *threads) {
    const auto row = rows.find(thread);
    if (row != rows.end() && !row->second.has_children) continue;
    const absl::StatusOr<std::string> text = task.Read(absl::StrCat("task/", thread, "/children"));
    if (!text.ok()) continue;
    const absl::StatusOr<std::vector<pid_t>> found = ParseChildren(*text);
    if (found.ok()) children.insert(children.end(), found->begin(), found->end());
  }
  return children;
}

// Whether a child ends while we look, or has ended: nothing is left of it to be looked at. One that
// only its main thread has left goes on.
bool HasPassed(pid_t pid, const absl::Status& status) {
  if (FailureOf(status) == Failure::kNoSuchTask || absl::IsNotFound(status)) return true;
  if (FailureOf(status) != Failure::kZombie) return false;
  const absl::StatusOr<ProcDir> dir = ProcDir::OpenTask(pid);
  if (!dir.ok()) return true;
  const absl::StatusOr<std::vector<int>> threads = ListNumbers(*dir, "task");
  return !threads.ok() || threads->size() <= 1;
}

absl::StatusOr<Target> Find(const Dumper& dumper, pid_t pid, bool is_root) {
  absl::StatusOr<ProcDir> dir = ProcDir::OpenTask(pid);
  if (absl::IsNotFound(dir.status())) return NoSuchTask(pid);
  RETURN_IF_ERROR(dir.status());
  const auto vanished = [&](const absl::Status& status) {
    return absl::IsNotFound(status) ? NoSuchTask(pid) : status;
  };
  const absl::StatusOr<TaskStat> stat = StatOf(*dir);
  if (!stat.ok()) return vanished(stat.status());
  const absl::StatusOr<std::string> status_text = dir->ReadWhole("status");
  if (!status_text.ok()) return vanished(status_text.status());
  ASSIGN_OR_RETURN(const TaskStatus status, ParseStatus(*status_text));
  const std::string name = NameOf(pid, *stat);
  if (status.tgid != pid) {
    return Refuse(Failure::kNotALeader, absl::StrCat(pid, " is a thread of process ", status.tgid,
                                                     "; dump that (-t ", status.tgid, ")"));
  }
  if (stat->kernel_thread()) {
    return Refuse(Failure::kKernelThread,
                  absl::StrCat(name, " is a kernel thread, which has nothing to dump"));
  }
  if (pid == 1) {
    return Refuse(Failure::kInit,
                  absl::StrCat(name,
                               " is the init of this system, without which nothing goes on; "
                               "dump what it has started"));
  }
  if (is_root) RETURN_IF_ERROR(RefuseAncestor(pid, *stat, name));
  RETURN_IF_ERROR(RefuseZombie(name, *stat, status));
  RETURN_IF_ERROR(RefuseTraced(name, status));
  RETURN_IF_ERROR(RefuseWithoutRights(dumper, *dir, name));
  RETURN_IF_ERROR(RefuseForeignAbi(*dir, name));
  return Target{.pid = pid,
                .dir = *std::move(dir),
                .stat = *stat,
                .threads = status.threads,
                .shadow_stack = status.shadow_stack,
                .uid = status.uid.real,
                .resident = status.resident,
                .resident_shared = status.resident_files + status.resident_shared,
                .swapped = status.swapped,
                .page_tables = status.page_tables};
}

}  // namespace

absl::StatusOr<TaskStat> StatOfTask(pid_t pid) {
  ASSIGN_OR_RETURN(const ProcDir proc, ProcDir::OpenRoot());
  ASSIGN_OR_RETURN(const std::string text, proc.ReadWhole(absl::StrCat(pid, "/stat")));
  return ParseStat(text);
}

UniqueFd Target::OpenPidfd() const {
  UniqueFd opened(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  // Who was there until after that has had the pid all the time.
  if (opened && faccessat(dir.fd().get(), "stat", F_OK, 0) != 0) opened.Reset();
  return opened;
}

absl::StatusOr<std::vector<Target>> FindTree(pid_t root, ThreadRows* rows) {
  const Dumper dumper{EffectiveCapabilities()};
  std::vector<Target> found;
  std::set<pid_t> known = {root};
  ASSIGN_OR_RETURN(Target first, Find(dumper, root, true));
  first.pidfd = first.OpenPidfd();
  if (!first.pidfd) return NoSuchTask(root);
  found.push_back(std::move(first));
  for (size_t next = 0; next < found.size(); ++next) {
    for (const pid_t pid : ChildrenOf(found[next].pid, found[next].dir, rows)) {
      if (!known.insert(pid).second) continue;
      absl::StatusOr<Target> child = Find(dumper, pid, false);
      if (!child.ok() && HasPassed(pid, child.status())) continue;
      RETURN_IF_ERROR(child.status());
      found.push_back(*std::move(child));
    }
  }
  return found;
}

std::vector<pid_t> PidsOf(std::span<const Target> targets) {
  std::vector<pid_t> pids;
  pids.reserve(targets.size());
  for (const Target& target : targets) pids.push_back(target.pid);
  return pids;
}

std::vector<pid_t> ZombiesBelow(std::span<const Target> targets) {
  std::vector<pid_t> zombies;
  for (const Target& target : targets) {
    for (const pid_t pid : ChildrenOf(target.pid, target.dir, nullptr)) {
      const absl::StatusOr<TaskStat> stat = StatOfTask(pid);
      if (stat.ok() && stat->zombie()) zombies.push_back(pid);
    }
  }
  return zombies;
}

bool IsDead(const Target& target) {
  // A frozen task that is killed stays a zombie until its tracer has looked.
  const auto stat = StatOf(target.dir);
  return !stat.ok() || stat->zombie();
}

bool HasEnded(const Target& target) {
  return absl::IsNotFound(target.dir.ReadLink("cwd").status()) ||
         absl::IsNotFound(target.dir.ReadLink("exe").status());
}

absl::Status ExplainByDeath(absl::Status status, std::span<const Target> targets) {
  // What cannot be read, or found, is at times the memory of one who is being killed.
  const Failure failure = FailureOf(status);
  if (status.ok() || (failure != Failure::kInternal && failure != Failure::kRefused &&
                      failure != Failure::kHost)) {
    return status;
  }
  // Whoever is killed is no tracee any more some time before it shows as a zombie.
  constexpr int kMostMilliseconds = 100;
  const auto dead = [&] { return std::find_if(targets.begin(), targets.end(), IsDead); };
  auto who = dead();
  for (int i = 0; absl::IsNotFound(status) && who == targets.end() && i < kMostMilliseconds; ++i) {
    absl::SleepFor(absl::Milliseconds(1));
    who = dead();
  }
  if (who == targets.end()) return status;
  return MakeFailure(Failure::kTargetDied, absl::StatusCode::kNotFound,
                     absl::StrCat("process ", who->pid, " (", Printable(who->stat.comm),
                                  ") was killed by somebody else during the dump (",
                                  std::string(status.message()), "); no images were left"));
}

bool HasGone(const Target& target, std::span<const Target> targets) {
  return &target != &targets.front() && (IsDead(target) || HasEnded(target));
}

}  // namespace dumpctl
