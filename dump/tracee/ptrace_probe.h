#ifndef DUMP_TRACEE_PTRACE_PROBE_H_
#define DUMP_TRACEE_PTRACE_PROBE_H_

namespace dumpctl {

// What this caller can do to a child of its own, each tried on one. All false where not even a
// child can be traced (a seccomp filter, Yama's scope 3).
struct PtraceAbilities {
  bool seize = false;               // PTRACE_SEIZE and PTRACE_INTERRUPT, Linux 3.4
  bool signal_mask = false;         // PTRACE_GETSIGMASK, Linux 3.11
  bool peek_siginfo = false;        // PTRACE_PEEKSIGINFO, Linux 3.10
  bool rseq_configuration = false;  // PTRACE_GET_RSEQ_CONFIGURATION, Linux 5.13
  bool suspend_seccomp = false;     // PTRACE_O_SUSPEND_SECCOMP: CAP_SYS_ADMIN, Linux 4.3
  bool read_memory = false;         // process_vm_readv(2), Linux 3.2
  bool timers = false;              // /proc/PID/timers: CONFIG_CHECKPOINT_RESTORE, Linux 3.10
  bool kcmp = false;                // kcmp(2), Linux 3.5; CONFIG_KCMP since 5.12
};

// Forks a child, traces and kills it.
PtraceAbilities ProbePtrace();

}  // namespace dumpctl

#endif  // DUMP_TRACEE_PTRACE_PROBE_H_
