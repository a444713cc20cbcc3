#include "dump/task/core_image.h"

#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"
#include "proc/limits_parser.h"
#include "proc/stat_parser.h"
#include "proc/status_parser.h"
#include "proc/timers_parser.h"
#include "proc/value_parsers.h"

namespace dumpctl {
namespace {

// task_state of an image.
constexpr uint32_t kAlive = 1;
constexpr uint32_t kDead = 2;
constexpr uint32_t kStopped = 3;

constexpr uint32_t kSchedDeadline = 6;
constexpr uint64_t kDefaultTimerslack = 50000;

void AddCapability(uint64_t set, google::protobuf::RepeatedField<uint32_t>* words) {
  words->Add(static_cast<uint32_t>(set));
  words->Add(static_cast<uint32_t>(set >> 32));
}

void FillCreds(const TaskStatus& status, uint32_t securebits, bool no_new_privs,
               image::creds_entry* creds) {
  creds->set_uid(status.uid.real);
  creds->set_euid(status.uid.effective);
  creds->set_suid(status.uid.saved);
  creds->set_fsuid(status.uid.filesystem);
  creds->set_gid(status.gid.real);
  creds->set_egid(status.gid.effective);
  creds->set_sgid(status.gid.saved);
  creds->set_fsgid(status.gid.filesystem);
  AddCapability(status.cap_inheritable, creds->mutable_cap_inh());
  AddCapability(status.cap_permitted, creds->mutable_cap_prm());
  AddCapability(status.cap_effective, creds->mutable_cap_eff());
  AddCapability(status.cap_bounding, creds->mutable_cap_bnd());
  AddCapability(status.cap_ambient, creds->mutable_cap_amb());
  creds->set_secbits(securebits);
  for (const uint32_t group : status.groups) creds->add_groups(group);
  if (no_new_privs) creds->set_no_new_privs(1);
}

// What status of procfs tells of it, or its row.
absl::Status FillIdentity(const ThreadFacts& thread, const TaskStatus& status,
                          image::thread_core_entry* core) {
  const uint32_t securebits = thread.answers.securebits;
  if (thread.row) {
    FillCreds(status, securebits, thread.row->no_new_privs, core->mutable_creds());
    core->set_comm(thread.row->comm);
    return absl::OkStatus();
  }
  FillCreds(status, securebits, status.no_new_privs, core->mutable_creds());
  if (status.seccomp_mode != 0) {
    core->set_seccomp_mode(static_cast<image::seccomp_mode>(status.seccomp_mode));
  }
  ASSIGN_OR_RETURN(*core->mutable_comm(), TaskName(status));
  return absl::OkStatus();
}

void AddSignals(const std::vector<siginfo_t>& signals, image::signal_queue_entry* queue) {
  for (const siginfo_t& info : signals) {
    queue->add_signals()->set_siginfo(&info, sizeof info);
  }
}

void FillScheduling(const Scheduling& scheduling, image::thread_core_entry* core) {
  core->set_sched_policy(scheduling.policy);
  core->set_sched_nice(scheduling.nice);
  if (scheduling.policy == SCHED_FIFO || scheduling.policy == SCHED_RR) {
    core->set_sched_prio(scheduling.priority);
  }
}

void FillItimer(const itimerval& timer, image::itimer_entry* entry) {
  entry->set_isec(static_cast<uint64_t>(timer.it_interval.tv_sec));
  entry->set_iusec(static_cast<uint64_t>(timer.it_interval.tv_usec));
  entry->set_vsec(static_cast<uint64_t>(timer.it_value.tv_sec));
  entry->set_vusec(static_cast<uint64_t>(timer.it_value.tv_usec));
}

absl::Status FillTimers(const ProcessFacts& process, image::task_timers_entry* timers) {
  FillItimer(process.answers.itimers[ITIMER_REAL], timers->mutable_real());
  FillItimer(process.answers.itimers[ITIMER_VIRTUAL], timers->mutable_virt());
  FillItimer(process.answers.itimers[ITIMER_PROF], timers->mutable_prof());
  ASSIGN_OR_RETURN(const std::vector<PosixTimer> known, ParseTimers(process.timers_text));
  for (const PosixTimerState& state : process.answers.posix_timers) {
    const auto timer = std::find_if(known.begin(), known.end(),
                                    [&](const PosixTimer& t) { return t.id == state.id; });
    if (timer == known.end()) {
      return absl::InternalError(absl::StrCat("timer ", state.id, " was asked for but not listed"));
    }
    image::posix_timer_entry* entry = timers->add_posix();
    entry->set_it_id(static_cast<uint32_t>(timer->id));
    entry->set_clock_id(static_cast<uint32_t>(timer->clock_id));
    entry->set_si_signo(static_cast<uint32_t>(timer->signal));
    entry->set_it_sigev_notify(static_cast<uint32_t>(timer->notify));
    entry->set_sival_ptr(timer->sigev_value);
    entry->set_overrun(static_cast<uint32_t>(state.overrun));
    entry->set_isec(static_cast<uint64_t>(state.value.it_interval.tv_sec));
    entry->set_insec(static_cast<uint64_t>(state.value.it_interval.tv_nsec));
    entry->set_vsec(static_cast<uint64_t>(state.value.it_value.tv_sec));
    entry->set_vnsec(static_cast<uint64_t>(state.value.it_value.tv_nsec));
    if (timer->notify_tid) entry->set_notify_thread_id(*timer->notify_tid);
  }
  // As the field's images have them: by id, which is how a restorer creates them.
  std::sort(timers->mutable_posix()->begin(), timers->mutable_posix()->end(),
            [](const auto& a, const auto& b) { return a.it_id() < b.it_id(); });
  return absl::OkStatus();
}

void FillSigactions(const ProcessFacts& process, image::task_core_entry* tc) {
  for (int signal = 1; signal <= kSignals; ++signal) {
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    const KernelSigaction& action = process.answers.sigactions[static_cast<size_t>(signal - 1)];
    image::sa_entry* entry = tc->add_sigactions();
    entry->set_sigaction(action.handler);
    entry->set_flags(action.flags);
    entry->set_restorer(action.restorer);
    entry->set_mask(action.mask);
    entry->set_compat_sigaction(false);
  }
}

}  // namespace

absl::StatusOr<image::core_entry> ToThreadCore(const ThreadFacts& thread, const TaskStatus& status,
                                               std::optional<uint32_t> seccomp_filter) {
  image::core_entry core;
  core.set_mtype(image::core_entry::X86_64);
  *core.mutable_thread_info() = ToThreadInfo(thread.registers, thread.extended_state, thread.tls);
  core.mutable_thread_info()->set_clear_tid_addr(thread.answers.clear_child_tid);
  image::thread_core_entry* tc = core.mutable_thread_core();
  tc->set_futex_rla(thread.robust_list);
  tc->set_futex_rla_len(static_cast<uint32_t>(thread.robust_list_length));
  FillScheduling(thread.scheduling, tc);
  tc->set_blk_sigset(thread.sigmask);
  tc->mutable_sas()->set_ss_sp(thread.answers.altstack_base);
  tc->mutable_sas()->set_ss_size(thread.answers.altstack_size);
  // That the thread stands on it now is the kernel's finding, no setting.
  tc->mutable_sas()->set_ss_flags(thread.answers.altstack_flags &
                                  ~static_cast<uint32_t>(SS_ONSTACK));
  if (thread.answers.pdeath_signal != 0) tc->set_pdeath_sig(thread.answers.pdeath_signal);
  AddSignals(thread.pending, tc->mutable_signals_p());
  RETURN_IF_ERROR(FillIdentity(thread, status, tc));
  if (seccomp_filter) tc->set_seccomp_filter(*seccomp_filter);
  if (thread.rseq) {
    image::rseq_entry* rseq = tc->mutable_rseq_entry();
    rseq->set_rseq_abi_pointer(thread.rseq->area.value());
    rseq->set_rseq_abi_size(thread.rseq->size);
    rseq->set_signature(thread.rseq->signature);
  }
  return core;
}

absl::Status AddProcess(const ProcessFacts& process, const ThreadFacts& leader,
                        image::core_entry& core) {
  image::task_core_entry* tc = core.mutable_tc();
  ASSIGN_OR_RETURN(const TaskStat stat, ParseStat(process.stat_text));
  ASSIGN_OR_RETURN(const int32_t oom_score_adj, ParseOomScoreAdj(process.texts.oom_score_adj));
  tc->set_task_state(process.stop_signal == 0 ? kAlive : kStopped);
  if (process.stop_signal != 0) tc->set_stop_signo(static_cast<uint32_t>(process.stop_signal));
  tc->set_exit_code(0);
  tc->set_personality(process.answers.personality);
  tc->set_flags(stat.flags);
  // The leader's mask stands here, the other threads' in their own part.
  tc->set_blk_sigset(leader.sigmask);
  core.mutable_thread_core()->clear_blk_sigset();
  tc->set_comm(core.thread_core().comm());
  RETURN_IF_ERROR(FillTimers(process, tc->mutable_timers()));
  ASSIGN_OR_RETURN(const Rlimits limits, ParseLimits(process.texts.limits));
  for (const auto& limit : limits) {
    image::rlimit_entry* entry = tc->mutable_rlimits()->add_rlimits();
    entry->set_cur(limit.soft);
    entry->set_max(limit.hard);
  }
  AddSignals(process.pending, tc->mutable_signals_s());
  if (!process.texts.loginuid.empty()) {
    ASSIGN_OR_RETURN(const uint32_t loginuid, ParseLoginuid(process.texts.loginuid));
    tc->set_loginuid(loginuid);
  }
  tc->set_oom_score_adj(oom_score_adj);
  FillSigactions(process, tc);
  tc->set_child_subreaper(process.answers.child_subreaper);
  if (process.answers.membarrier_registrations != 0) {
    tc->set_membarrier_registration_mask(process.answers.membarrier_registrations);
  }
  return absl::OkStatus();
}

image::core_entry DeadCore(const TaskStat& stat) {
  image::core_entry core;
  core.set_mtype(image::core_entry::X86_64);
  image::task_core_entry* tc = core.mutable_tc();
  tc->set_task_state(kDead);
  tc->set_exit_code(static_cast<uint32_t>(stat.exit_code));
  tc->set_personality(0);
  tc->set_flags(0);
  tc->set_blk_sigset(0);
  tc->set_comm(stat.comm);
  return core;
}

ResourceRefusals RefuseThreadState(pid_t pid, const ThreadFacts& thread) {
  ResourceRefusals refusals;
  const std::string comm =
      thread.row ? thread.row->comm : std::string(StatusValue(thread.status_text, "Name"));
  const std::string name = absl::StrCat("thread ", thread.tid, " (", comm, ")");
  const absl::Status extended = CheckExtendedState(thread.extended_state);
  if (!extended.ok()) {
    refusals.push_back({.pid = pid,
                        .resource = name,
                        .why = std::string(extended.message()),
                        .remedy = "dump it when it does not compute with AMX (TILERELEASE)"});
  }
  if (thread.scheduling.policy == kSchedDeadline) {
    refusals.push_back({.pid = pid,
                        .resource = name,
                        .why = "its scheduling policy is SCHED_DEADLINE, whose parameters the "
                               "image format cannot hold",
                        .remedy = absl::StrCat("chrt --other --pid 0 ", thread.tid)});
  }
  return refusals;
}

std::vector<std::string> NotCaptured(const ProcessFacts& process) {
  std::vector<std::string> words;
  if (process.answers.memory_deny_write_execute != 0) {
    words.push_back("PR_SET_MDWE (the image format has no field for it)");
  }
  // That of the user is there for every session without one of its own.
  const long ours = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
  if (process.answers.session_keyring == ProcessAnswers::kUntold) {
    words.push_back("its session's keyring, if it has one: it could not be asked");
  } else if (process.answers.session_keyring != 0 && process.answers.session_keyring != ours) {
    words.push_back(absl::StrCat("its session's keyring, number ", process.answers.session_keyring,
                                 " (the image format has no field for it)"));
  }
  const uint64_t slack = process.answers.timer_slack;
  if (slack != kDefaultTimerslack) {
    words.push_back(
        absl::StrCat("timer slack of ", slack, " ns (the image format has no field for it)"));
  }
  return words;
}

}  // namespace dumpctl
