#include "dump/session/host_check.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "dumpctl/status_macros.h"
#include "proc/proc_fs.h"
#include "proc/status_parser.h"

namespace dumpctl {
namespace {

bool CanFollowMapFiles(const ProcDir& self) {
  const auto links = self.List("map_files");
  if (!links.ok() || links->empty()) return false;
  // Listing takes no capability, following a link does. O_PATH: the file's own mode is no matter.
  return self.Open(absl::StrCat("map_files/", links->front()), O_PATH | O_CLOEXEC).ok();
}

std::optional<int> PtraceScope(const ProcDir& root) {
  const auto text = root.Read("sys/kernel/yama/ptrace_scope");
  int scope = 0;
  if (!text.ok() || !absl::SimpleAtoi(*text, &scope)) return std::nullopt;
  return scope;
}

bool HasMemfd() {
  const UniqueFd fd(memfd_create("dumpctl", MFD_CLOEXEC));
  return static_cast<bool>(fd);
}

bool HasMountId() {
  constexpr unsigned kMountId = 0x1000;  // STATX_MNT_ID
  struct statx stat = {};
  return statx(AT_FDCWD, "/", 0, kMountId, &stat) == 0 && (stat.stx_mask & kMountId) != 0;
}

bool Has(const HostFacts& facts, int capability) {
  return (facts.capabilities >> capability & 1) != 0;
}

class Judge {
 public:
  void Need(bool there, Failure failure, std::string name, std::string use, std::string remedy) {
    Add(there, HostState::kMissing, failure, std::move(name), std::move(use), std::move(remedy));
  }
  void Want(bool there, std::string name, std::string use, std::string fallback) {
    Add(there, HostState::kAbsent, Failure::kInternal, std::move(name), std::move(use),
        std::move(fallback));
  }
  std::vector<HostFinding> Take() { return std::move(findings_); }

 private:
  void Add(bool there, HostState otherwise, Failure failure, std::string name, std::string use,
           std::string remedy) {
    findings_.push_back({.name = std::move(name),
                         .state = there ? HostState::kOk : otherwise,
                         .use = std::move(use),
                         .remedy = there ? "" : std::move(remedy),
                         .failure = there ? Failure::kInternal : failure});
  }

  std::vector<HostFinding> findings_;
};

void JudgeCapabilities(const HostFacts& facts, Judge& judge) {
  const bool admin = Has(facts, CAP_SYS_ADMIN);
  judge.Need(Has(facts, CAP_SYS_PTRACE), Failure::kPermission, "CAP_SYS_PTRACE",
             "tracing tasks that are not this caller's own",
             "run as root, or grant the capability");
  judge.Need(Has(facts, CAP_CHECKPOINT_RESTORE) || admin, Failure::kPermission,
             "CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN", "finding the files that a task maps",
             "run as root, or grant one of them");
  judge.Want(admin, "CAP_SYS_ADMIN", "reading and suspending seccomp filters",
             "tasks under seccomp are refused");
}

void JudgeAccess(const HostFacts& facts, Judge& judge) {
  const int scope = facts.ptrace_scope.value_or(0);
  const std::string yama =
      facts.ptrace_scope ? absl::StrCat("ptrace_scope ", scope) : "ptrace_scope (no Yama)";
  if (scope >= 3) {
    judge.Need(
        false, Failure::kHost, yama, "attaching to tasks",
        "Yama forbids it to all until the next boot: boot with kernel.yama.ptrace_scope < 3");
  } else {
    judge.Need(scope == 0 || Has(facts, CAP_SYS_PTRACE), Failure::kPermission, yama,
               "attaching to tasks", "grant CAP_SYS_PTRACE, or set kernel.yama.ptrace_scope to 0");
  }
  judge.Need(facts.map_files, Failure::kPermission, "map_files", "following /proc/PID/map_files",
             "grant CAP_CHECKPOINT_RESTORE in the initial user namespace");
  judge.Want(facts.foreign_tasks, "hidepid", "seeing tasks of others in /proc",
             "only this caller's tasks can be dumped; mount /proc without hidepid");
}

void JudgeKernel(const HostFacts& facts, Judge& judge) {
  const PtraceAbilities& can = facts.ptrace;
  const auto need = [&judge](bool there, std::string name, std::string use, std::string remedy) {
    judge.Need(there, Failure::kHost, std::move(name), std::move(use), std::move(remedy));
  };
  need(can.seize, "PTRACE_SEIZE", "freezing tasks",
       "a seccomp filter or security module forbids ptrace(2): allow it");
  need(can.signal_mask, "PTRACE_GETSIGMASK", "signal masks", "use Linux 3.11 or newer");
  need(can.peek_siginfo, "PTRACE_PEEKSIGINFO", "pending signals", "use Linux 3.10 or newer");
  need(can.read_memory, "process_vm_readv", "reading memory", "allow the system call");
  need(can.timers, "/proc/PID/timers", "POSIX timers",
       "use a kernel with CONFIG_CHECKPOINT_RESTORE");
  need(facts.memfd, "memfd_create", "scratch memory of a dump", "use Linux 3.17 or newer");
  need(facts.mount_id, "statx mnt_id", "the mounts of files", "use Linux 5.8 or newer");
  judge.Want(can.rseq_configuration, "PTRACE_GET_RSEQ_CONFIGURATION", "restartable sequences",
             "a task that uses them loses them at a restore; it takes Linux 5.13");
  judge.Want(
      can.suspend_seccomp, "PTRACE_O_SUSPEND_SECCOMP",
      "running system calls in tasks under seccomp",
      "tasks under seccomp are refused; it takes CAP_SYS_ADMIN, and no seccomp on this caller");
}

}  // namespace

absl::StatusOr<HostFacts> ReadHostFacts() {
  HostFacts facts;
  ASSIGN_OR_RETURN(const ProcDir root, ProcDir::OpenRoot());
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
  ASSIGN_OR_RETURN(const std::string text, self.Read("status"));
  ASSIGN_OR_RETURN(const TaskStatus status, ParseStatus(text));
  facts.capabilities = status.cap_effective;
  facts.ptrace_scope = PtraceScope(root);
  facts.map_files = CanFollowMapFiles(self);
  // hidepid=2 hides pid 1 itself, hidepid=1 what is in it.
  const auto init = ProcDir::OpenTask(1);
  facts.foreign_tasks = init.ok() && init->Read("status").ok();
  facts.memfd = HasMemfd();
  facts.mount_id = HasMountId();
  facts.ptrace = ProbePtrace();
  return facts;
}

std::vector<HostFinding> JudgeHost(const HostFacts& facts, const KernelFeatures& features) {
  Judge judge;
  JudgeCapabilities(facts, judge);
  JudgeAccess(facts, judge);
  JudgeKernel(facts, judge);
  judge.Need(facts.ptrace.kcmp || features.Has(KernelFeature::kDupfdQuery), Failure::kHost, "kcmp",
             "finding descriptors that share an open file",
             "use a kernel with CONFIG_KCMP, or Linux 6.10 or newer");
  for (const KernelFeatures::Description& row : KernelFeatures::All()) {
    judge.Want(features.Has(row.feature), std::string(row.name), std::string(row.use),
               absl::StrCat(std::string(row.fallback), "; it takes ", std::string(row.since)));
  }
  return judge.Take();
}

absl::Status HostStatus(const std::vector<HostFinding>& findings) {
  std::string missing;
  bool permission = false;
  for (const HostFinding& finding : findings) {
    if (finding.state != HostState::kMissing) continue;
    absl::StrAppend(&missing, missing.empty() ? "" : "; ", finding.name);
    permission |= finding.failure == Failure::kPermission;
  }
  if (missing.empty()) return absl::OkStatus();
  const std::string message = absl::StrCat("a dump cannot work here for lack of: ", missing);
  return permission
             ? MakeFailure(Failure::kPermission, absl::StatusCode::kPermissionDenied, message)
             : MakeFailure(Failure::kHost, absl::StatusCode::kFailedPrecondition, message);
}

}  // namespace dumpctl
