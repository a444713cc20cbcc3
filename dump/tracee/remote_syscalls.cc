#include "dump/tracee/remote_syscalls.h"

#include <signal.h>
#include <sys/syscall.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/tracee/ptrace_ops.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "proc/status_parser.h"

namespace dumpctl {
namespace {

// While a thread is away nothing may be delivered to it: a signal taken from its queue then could
// not be put back. (SIGKILL and SIGSTOP cannot be blocked.)
constexpr uint64_t kAllSignals = ~0ull;

// Signals that the kernel drops where they have no handler (signal(7), "Ign").
constexpr int kIgnorable[] = {SIGURG, SIGWINCH, SIGCHLD};

constexpr uint64_t BitOf(int signal) { return uint64_t{1} << (signal - 1); }

absl::StatusOr<uint64_t> CaughtSignals(const FrozenTask& task) {
  ASSIGN_OR_RETURN(const std::string text, task.dir().Read("status"));
  ASSIGN_OR_RETURN(const TaskStatus status, ParseStatus(text));
  return status.caught;
}

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
  ASSIGN_OR_RETURN(scope.caught_, CaughtSignals(task));
  ASSIGN_OR_RETURN(scope.host_sigmask_, PtraceGetSigmask(scope.host().tid));
  RETURN_IF_ERROR(scope.WriteContext(scope.host(), Healer::kHost, scope.host_sigmask_));
  RETURN_IF_ERROR(
      scope.SendAway(scope.host(), Healer::kHost, scope.StopSignal(scope.host_sigmask_)));
  RETURN_IF_ERROR(scope.MapScratch());
  return scope;
}

RemoteSyscalls::RemoteSyscalls(RemoteSyscalls&& other) noexcept
    : task_(std::exchange(other.task_, nullptr)),
      memory_(std::move(other.memory_)),
      site_(other.site_),
      healer_(other.healer_),
      scratch_(other.scratch_),
      caught_(other.caught_),
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

absl::Status RemoteSyscalls::SendAway(const FrozenThread& thread, Healer::Role role,
                                      int stop_signal) {
  // In this order: from here on the way home puts the mask back.
  RETURN_IF_ERROR(SetGeneralRegisters(thread.tid, healer_.AtHome(thread.registers, role)));
  const uint64_t open = stop_signal == 0 ? 0 : BitOf(stop_signal);
  return PtraceSetSigmask(thread.tid, kAllSignals & ~open);
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

int RemoteSyscalls::StopSignal(uint64_t sigmask) const {
  for (const int signal : kIgnorable) {
    if (((sigmask | caught_) & BitOf(signal)) == 0) return signal;
  }
  return 0;
}

absl::Status RemoteSyscalls::RunTable(const FrozenThread& thread, Healer::Role role, size_t count,
                                      int stop_signal) {
  RETURN_IF_ERROR(
      SetGeneralRegisters(thread.tid, healer_.AtTable(thread.registers, role, table(), count)));
  if (stop_signal == 0) {
    // Stop by stop: slower, and there is no other way.
    for (size_t i = 0; i < count; ++i) {
      RETURN_IF_ERROR(RunToSyscallStop(thread.tid));  // entry
      RETURN_IF_ERROR(RunToSyscallStop(thread.tid));  // exit
    }
    return absl::OkStatus();
  }
  int pass_on = 0;
  for (;;) {
    RETURN_IF_ERROR(PtraceCont(thread.tid, pass_on));
    ASSIGN_OR_RETURN(const Stop stop, WaitStop(thread.tid));
    pass_on = 0;
    if (stop.kind == Stop::Kind::kGone) return Died(thread.tid);
    if (stop.kind != Stop::Kind::kSignal) continue;
    if (stop.signal == SIGSTOP) {
      pass_on = SIGSTOP;
      continue;
    }
    if (stop.signal != stop_signal) {
      return absl::InternalError(
          absl::StrCat("thread ", thread.tid, " got signal ", stop.signal, " on injected code"));
    }
    // Somebody else may have sent it: then it comes early, and is as ignored as it always was.
    ASSIGN_OR_RETURN(const GeneralRegisters registers, GetGeneralRegisters(thread.tid));
    if (healer_.IsBehindTable(registers)) return absl::OkStatus();
  }
}

absl::StatusOr<std::vector<int64_t>> RemoteSyscalls::Run(const FrozenThread& thread,
                                                         std::span<const RemoteCall> calls) {
  if (calls.empty()) return std::vector<int64_t>();
  if (calls.size() > kMostCalls) {
    return absl::InternalError(absl::StrCat(calls.size(), " system calls at once"));
  }
  const bool is_host = thread.tid == host().tid;
  const Healer::Role role = is_host ? Healer::kHost : Healer::kGuest;
  int stop_signal = StopSignal(host_sigmask_);
  if (!is_host) {
    ASSIGN_OR_RETURN(guest_sigmask_, PtraceGetSigmask(thread.tid));
    stop_signal = StopSignal(guest_sigmask_);
    RETURN_IF_ERROR(WriteContext(thread, role, guest_sigmask_));
  }
  std::vector<Healer::TableEntry> entries;
  entries.reserve(calls.size() + 1);
  for (const RemoteCall& call : calls) {
    entries.push_back({.number = static_cast<uint64_t>(call.number), .arguments = call.arguments});
  }
  if (stop_signal != 0) {
    entries.push_back(
        {.number = SYS_tgkill,
         .arguments = {static_cast<uint64_t>(task_->pid()), static_cast<uint64_t>(thread.tid),
                       static_cast<uint64_t>(stop_signal)}});
  }
  RETURN_IF_ERROR(memory_->Write(table(), std::as_bytes(std::span(entries))));
  if (!is_host) RETURN_IF_ERROR(SendAway(thread, role, stop_signal));
  absl::Status status = RunTable(thread, role, entries.size(), stop_signal);
  if (!is_host) status.Update(BringHome(thread));
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(memory_->Read(table(), std::as_writable_bytes(std::span(entries))));
  std::vector<int64_t> results;
  results.reserve(calls.size());
  for (size_t i = 0; i < calls.size(); ++i) results.push_back(entries[i].result);
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
