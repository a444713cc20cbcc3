#include "dump/tracee/remote_syscalls.h"

#include <signal.h>
#include <sys/syscall.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/tracee/ptrace_ops.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// While a thread is away nothing may be delivered to it: a signal taken from its queue then could
// not be put back. (SIGKILL and SIGSTOP cannot be blocked.)
constexpr uint64_t kAllSignals = ~0ull;

absl::Status Died(pid_t tid) {
  return MakeFailure(Failure::kTargetDied, absl::StatusCode::kNotFound,
                     absl::StrCat("thread ", tid, " was killed while it was frozen"));
}

// Lets the thread run to the next system call stop.
absl::Status RunToSyscallStop(pid_t tid) {
  int signal = 0;
  for (;;) {
    RETURN_IF_ERROR(PtraceSyscall(tid, signal));
    ASSIGN_OR_RETURN(const Stop stop, WaitStop(tid));
    signal = 0;
    switch (stop.kind) {
      case Stop::Kind::kSyscall:
        return absl::OkStatus();
      case Stop::Kind::kGone:
        return Died(tid);
      case Stop::Kind::kSignal:
        // Only SIGSTOP gets here; passed on, it stops the process once we have let it go.
        if (stop.signal != SIGSTOP) {
          return absl::InternalError(
              absl::StrCat("thread ", tid, " got signal ", stop.signal, " on injected code"));
        }
        signal = stop.signal;
        break;
      case Stop::Kind::kInterrupt:
      case Stop::Kind::kGroupStop:
      case Stop::Kind::kEvent:
        break;
    }
  }
}

// Runs the one system call that `at` stands before.
absl::StatusOr<int64_t> RunCall(pid_t tid, const GeneralRegisters& at) {
  RETURN_IF_ERROR(SetGeneralRegisters(tid, at));
  RETURN_IF_ERROR(RunToSyscallStop(tid));  // entry
  RETURN_IF_ERROR(RunToSyscallStop(tid));  // exit
  ASSIGN_OR_RETURN(const GeneralRegisters after, GetGeneralRegisters(tid));
  return static_cast<int64_t>(after.rax);
}

}  // namespace

absl::StatusOr<RemoteSyscalls> RemoteSyscalls::Create(const FrozenTask& task) {
  ASSIGN_OR_RETURN(RemoteMemory opened, RemoteMemory::Open(task.dir()));
  auto memory = std::make_unique<RemoteMemory>(std::move(opened));
  // The code is position independent: any base gives the same bytes.
  ASSIGN_OR_RETURN(const InjectionSite site,
                   InjectionSite::Install(task.dir(), *memory, Healer(RemoteAddress()).Code()));
  RemoteSyscalls scope(&task, std::move(memory), site);
  ASSIGN_OR_RETURN(scope.host_sigmask_, PtraceGetSigmask(scope.host().tid));
  RETURN_IF_ERROR(scope.WriteContext(scope.host(), Healer::kHost, scope.host_sigmask_));
  RETURN_IF_ERROR(scope.SendAway(scope.host(), Healer::kHost));
  RETURN_IF_ERROR(scope.MapScratch());
  return scope;
}

RemoteSyscalls::RemoteSyscalls(RemoteSyscalls&& other) noexcept
    : task_(std::exchange(other.task_, nullptr)),
      memory_(std::move(other.memory_)),
      site_(other.site_),
      healer_(other.healer_),
      scratch_(other.scratch_),
      host_sigmask_(other.host_sigmask_),
      guest_sigmask_(other.guest_sigmask_) {}

RemoteSyscalls::~RemoteSyscalls() { Close().IgnoreError(); }

absl::Status RemoteSyscalls::WriteContext(const FrozenThread& thread, Healer::Role role,
                                          uint64_t sigmask) {
  return site_.Write(
      healer_.ContextAddress(role),
      Healer::ContextBytes(
          {.go_on = GoOnRegisters(thread.registers), .sigmask = sigmask, .scratch = scratch_}));
}

absl::Status RemoteSyscalls::SendAway(const FrozenThread& thread, Healer::Role role) {
  // In this order: from here on the way home puts the mask back.
  RETURN_IF_ERROR(SetGeneralRegisters(thread.tid, healer_.AtHome(thread.registers, role)));
  return PtraceSetSigmask(thread.tid, kAllSignals);
}

absl::Status RemoteSyscalls::BringHome(const FrozenThread& thread) {
  const uint64_t sigmask = thread.tid == host().tid ? host_sigmask_ : guest_sigmask_;
  // The mask first: until the registers are back, the way home still puts it back.
  RETURN_IF_ERROR(PtraceSetSigmask(thread.tid, sigmask));
  return SetGeneralRegisters(thread.tid, PutBackRegisters(thread.registers));
}

absl::Status RemoteSyscalls::MapScratch() {
  ASSIGN_OR_RETURN(const int64_t mapped, RunCall(host().tid, healer_.AtMap(host().registers)));
  if (mapped < 0 && mapped > -4096) {
    return absl::ErrnoToStatus(
        static_cast<int>(-mapped),
        absl::StrCat("process ", task_->pid(), " cannot map ", Healer::kScratchSize,
                     " bytes (see its RLIMIT_AS and the sysctl vm.max_map_count)"));
  }
  scratch_ = RemoteAddress(static_cast<uint64_t>(mapped));
  // The host still stands where the result is unmapped from rax; calls find it in the context.
  return WriteContext(host(), Healer::kHost, host_sigmask_);
}

absl::StatusOr<std::vector<int64_t>> RemoteSyscalls::Run(const FrozenThread& thread,
                                                         std::span<const RemoteCall> calls) {
  const bool is_host = thread.tid == host().tid;
  const Healer::Role role = is_host ? Healer::kHost : Healer::kGuest;
  if (!is_host) {
    ASSIGN_OR_RETURN(guest_sigmask_, PtraceGetSigmask(thread.tid));
    RETURN_IF_ERROR(WriteContext(thread, role, guest_sigmask_));
    RETURN_IF_ERROR(SendAway(thread, role));
  }
  std::vector<int64_t> results;
  results.reserve(calls.size());
  absl::Status status;
  for (const RemoteCall& call : calls) {
    const absl::StatusOr<int64_t> result =
        RunCall(thread.tid, healer_.AtCall(thread.registers, role, call.number, call.arguments));
    status = result.status();
    if (!status.ok()) break;
    results.push_back(*result);
  }
  if (!is_host) status.Update(BringHome(thread));
  RETURN_IF_ERROR(status);
  return results;
}

absl::StatusOr<std::vector<std::byte>> RemoteSyscalls::ReadSlots(size_t count) const {
  return memory_->Read(scratch_, count * kSlotSize);
}

absl::Status RemoteSyscalls::Close() {
  if (task_ == nullptr) return absl::OkStatus();
  absl::Status status;
  if (scratch_) {
    status = RunCall(host().tid, healer_.AtUnmap(host().registers, scratch_)).status();
  }
  status.Update(BringHome(host()));
  status.Update(site_.Clear());
  task_ = nullptr;
  return status;
}

}  // namespace dumpctl
