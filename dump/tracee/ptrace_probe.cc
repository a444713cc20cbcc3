#include "dump/tracee/ptrace_probe.h"

#include <linux/kcmp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>

#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

// Newer than the headers of glibc 2.36's <sys/ptrace.h>, or spelled otherwise there.
constexpr int kGetSigmask = 0x420a;
constexpr int kGetRseqConfiguration = 0x420f;
constexpr uintptr_t kSuspendSeccomp = 1u << 21;

// A child that sleeps until it is killed: when this goes out of scope, or with its parent.
class Child {
 public:
  Child() : pid_(fork()) {
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
  ~Child() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, __WALL);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

long Ptrace(int request, pid_t pid, uintptr_t address, void* data) {
  // The raw call: glibc's wrapper takes an enum that does not know the newer requests.
  return syscall(SYS_ptrace, request, pid, address, data);
}

bool SeizeAndStop(pid_t pid) {
  if (Ptrace(PTRACE_SEIZE, pid, 0, nullptr) < 0) return false;
  if (Ptrace(PTRACE_INTERRUPT, pid, 0, nullptr) < 0) return false;
  int status = 0;
  return waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status);
}

bool CanReadMemory(pid_t pid) {
  // The child has our own layout: what stands there is known.
  static const uint64_t kPattern = 0x706d75642d6c7463;
  uint64_t value = 0;
  const iovec local = {.iov_base = &value, .iov_len = sizeof value};
  const iovec remote = {.iov_base = const_cast<uint64_t*>(&kPattern), .iov_len = sizeof kPattern};
  return process_vm_readv(pid, &local, 1, &remote, 1, 0) == sizeof value && value == kPattern;
}

bool HasTimers(pid_t pid) {
  const auto task = ProcDir::OpenTask(pid);
  return task.ok() && task->Read("timers").ok();
}

}  // namespace

PtraceAbilities ProbePtrace() {
  PtraceAbilities abilities;
  const Child child;
  if (child.pid() < 0) return abilities;
  const pid_t pid = child.pid();
  abilities.timers = HasTimers(pid);
  abilities.kcmp = syscall(SYS_kcmp, getpid(), pid, KCMP_VM, 0, 0) >= 0;
  abilities.read_memory = CanReadMemory(pid);
  abilities.seize = SeizeAndStop(pid);
  if (!abilities.seize) return abilities;
  uint64_t mask = 0;
  abilities.signal_mask = Ptrace(kGetSigmask, pid, sizeof mask, &mask) == 0;
  siginfo_t info = {};
  __ptrace_peeksiginfo_args peek = {.off = 0, .flags = 0, .nr = 1};
  abilities.peek_siginfo =
      Ptrace(PTRACE_PEEKSIGINFO, pid, reinterpret_cast<uintptr_t>(&peek), &info) >= 0;
  char buffer[128] = {};
  abilities.rseq_configuration = Ptrace(kGetRseqConfiguration, pid, 24, buffer) == 24;
  abilities.suspend_seccomp =
      Ptrace(PTRACE_SETOPTIONS, pid, 0, reinterpret_cast<void*>(kSuspendSeccomp)) == 0;
  return abilities;
}

}  // namespace dumpctl
