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

// What a thread loads then must stay as it is, and it will be gone in microseconds.
absl::Status OnItsWayHome(pid_t tid) {
  return absl::UnavailableError(absl::StrCat(
      "thread ", tid, " is on its way home from a dump that was killed just now; try again"));
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

}  // namespace

absl::StatusOr<RemoteSyscalls> RemoteSyscalls::Create(const FrozenTask& task) {
  ASSIGN_OR_RETURN(RemoteMemory opened, RemoteMemory::Open(task.dir()));
  auto memory = std::make_unique<RemoteMemory>(std::move(opened));
  // The code is position independent: any base gives the same bytes.
  const std::vector<std::byte> code = Healer(RemoteAddress()).Code();
  ASSIGN_OR_RETURN(const InjectionSite site, InjectionSite::Find(task.dir(), *memory, code));
  for (const FrozenThread& thread : task.threads()) {
    if (site.Holds(RemoteAddress(thread.registers.rip))) return OnItsWayHome(thread.tid);
  }
  RETURN_IF_ERROR(site.Fill(code));
  RemoteSyscalls scope(&task, std::move(memory), site);
  ASSIGN_OR_RETURN(scope.caught_, CaughtSignals(task));
  RETURN_IF_ERROR(scope.Leave(task.threads().front()));
  return scope;
}

RemoteSyscalls::RemoteSyscalls(RemoteSyscalls&& other) noexcept
    : task_(std::exchange(other.task_, nullptr)),
      memory_(std::move(other.memory_)),
      site_(other.site_),
      healer_(other.healer_),
      scratch_(other.scratch_),
      caught_(other.caught_),
      away_(other.away_),
      mapped_(other.mapped_),
      sigmask_(other.sigmask_),
      stop_signal_(other.stop_signal_),
      done_(std::move(other.done_)) {}

RemoteSyscalls::~RemoteSyscalls() { Close().IgnoreError(); }

absl::Status RemoteSyscalls::Leave(const FrozenThread& thread) {
  ASSIGN_OR_RETURN(sigmask_, PtraceGetSigmask(thread.tid));
  stop_signal_ = StopSignal(sigmask_);
  RETURN_IF_ERROR(site_.Write(
      healer_.ContextAddress(),
      Healer::ContextBytes({.go_on = GoOnRegisters(thread.registers), .sigmask = sigmask_})));
  away_ = &thread;
  // In this order: from here on the way home puts the mask back.
  RETURN_IF_ERROR(SetGeneralRegisters(thread.tid, healer_.AtHome(thread.registers)));
  const uint64_t open = stop_signal_ == 0 ? 0 : BitOf(stop_signal_);
  RETURN_IF_ERROR(PtraceSetSigmask(thread.tid, kAllSignals & ~open));
  ASSIGN_OR_RETURN(const GeneralRegisters told,
                   Do(healer_.Map(thread.registers, scratch_, stop_signal_)));
  const auto mapped = static_cast<int64_t>(told.r12);
  if (mapped < 0 && mapped > -4096) {
    return absl::ErrnoToStatus(
        static_cast<int>(-mapped),
        absl::StrCat("process ", task_->pid(), " cannot map ", Healer::kScratchSize,
                     " bytes (see its RLIMIT_AS and the sysctl vm.max_map_count)"));
  }
  mapped_ = true;
  scratch_ = RemoteAddress(told.r12);
  return absl::OkStatus();
}

absl::Status RemoteSyscalls::ComeHome() {
  if (away_ == nullptr) return absl::OkStatus();
  const FrozenThread& thread = *std::exchange(away_, nullptr);
  absl::Status status;
  if (std::exchange(mapped_, false)) {
    away_ = &thread;
    status = Do(healer_.Unmap(thread.registers, scratch_, stop_signal_)).status();
    away_ = nullptr;
  }
  // The mask first: until the registers are back, the way home still puts it back.
  status.Update(PtraceSetSigmask(thread.tid, sigmask_));
  status.Update(SetGeneralRegisters(thread.tid, PutBackRegisters(thread.registers)));
  return status;
}

int RemoteSyscalls::StopSignal(uint64_t sigmask) const {
  for (const int signal : kIgnorable) {
    if (((sigmask | caught_) & BitOf(signal)) == 0) return signal;
  }
  return 0;
}

absl::StatusOr<GeneralRegisters> RemoteSyscalls::Do(const Healer::Task& task) {
  RETURN_IF_ERROR(SetGeneralRegisters(away_->tid, task.registers));
  if (stop_signal_ != 0) return RunUntilTold(task.done);
  // Stop by stop: slower, and there is no other way.
  for (;;) {
    RETURN_IF_ERROR(RunToSyscallStop(away_->tid));  // entry
    RETURN_IF_ERROR(RunToSyscallStop(away_->tid));  // exit
    ASSIGN_OR_RETURN(const GeneralRegisters registers, GetGeneralRegisters(away_->tid));
    if (registers.rip == task.done.value()) return registers;
  }
}

absl::StatusOr<GeneralRegisters> RemoteSyscalls::RunUntilTold(RemoteAddress done) {
  const pid_t tid = away_->tid;
  int pass_on = 0;
  for (;;) {
    RETURN_IF_ERROR(PtraceCont(tid, pass_on));
    ASSIGN_OR_RETURN(const Stop stop, WaitStop(tid));
    pass_on = 0;
    if (stop.kind == Stop::Kind::kGone) return Died(tid);
    if (stop.kind != Stop::Kind::kSignal) continue;
    if (stop.signal == SIGSTOP) {
      pass_on = SIGSTOP;
      continue;
    }
    if (stop.signal != stop_signal_) {
      return absl::InternalError(
          absl::StrCat("thread ", tid, " got signal ", stop.signal, " on injected code"));
    }
    // Somebody else may have sent it: then it comes early, and is as ignored as it always was.
    ASSIGN_OR_RETURN(const GeneralRegisters registers, GetGeneralRegisters(tid));
    if (registers.rip == done.value()) return registers;
  }
}

absl::StatusOr<std::vector<int64_t>> RemoteSyscalls::Run(const FrozenThread& thread,
                                                         std::span<const RemoteCall> calls) {
  done_.clear();
  if (calls.empty()) return std::vector<int64_t>();
  if (calls.size() > kMostCalls) {
    return absl::InternalError(absl::StrCat(calls.size(), " system calls at once"));
  }
  if (away_ == nullptr || away_->tid != thread.tid) {
    RETURN_IF_ERROR(ComeHome());
    RETURN_IF_ERROR(Leave(thread));
  }
  std::vector<Healer::TableEntry> entries;
  entries.reserve(calls.size());
  for (const RemoteCall& call : calls) {
    entries.push_back({.number = static_cast<uint64_t>(call.number), .arguments = call.arguments});
  }
  RETURN_IF_ERROR(memory_->Write(scratch_, std::as_bytes(std::span(entries))));
  RETURN_IF_ERROR(
      Do(healer_.WorkThrough(thread.registers, scratch_, entries.size(), stop_signal_)).status());
  RETURN_IF_ERROR(memory_->Read(scratch_, std::as_writable_bytes(std::span(entries))));
  done_ = std::move(entries);
  std::vector<int64_t> results;
  results.reserve(calls.size());
  for (const Healer::TableEntry& entry : done_) results.push_back(entry.result);
  return results;
}

absl::StatusOr<std::vector<std::byte>> RemoteSyscalls::ReadSlots(size_t count) const {
  if (count > done_.size()) {
    return absl::OutOfRangeError(absl::StrCat(count, " slots of ", done_.size(), " calls"));
  }
  std::vector<std::byte> bytes;
  bytes.reserve(count * kSlotSize);
  for (size_t i = 0; i < count; ++i) {
    bytes.insert(bytes.end(), done_[i].slot.begin(), done_[i].slot.end());
  }
  return bytes;
}

absl::Status RemoteSyscalls::Close() {
  if (task_ == nullptr) return absl::OkStatus();
  absl::Status status = ComeHome();
  status.Update(site_.Clear());
  task_ = nullptr;
  return status;
}

}  // namespace dumpctl
