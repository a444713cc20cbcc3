#include "dump/tracee/remote_syscalls.h"

#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/tracee/aside_thread.h"
#include "dump/tracee/ptrace_ops.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/proc_fs.h"
#include "proc/status_parser.h"

namespace dumpctl {
namespace {

// Signals that the kernel drops where they have no handler (signal(7), "Ign").
constexpr int kIgnorable[] = {SIGURG, SIGWINCH, SIGCHLD};

constexpr uint64_t BitOf(int signal) { return uint64_t{1} << (signal - 1); }

absl::StatusOr<uint64_t> CaughtSignals(const FrozenTask& task) {
  ASSIGN_OR_RETURN(const std::string text, task.dir().Read("status"));
  ASSIGN_OR_RETURN(const TaskStatus status, ParseStatus(text));
  return status.caught;
}

// What a thread loads then must stay as it is, and it will be gone in microseconds.
absl::Status OnItsWayHome(pid_t tid) {
  return absl::UnavailableError(absl::StrCat(
      "thread ", tid, " is on its way home from a dump that was killed just now; try again"));
}

}  // namespace

absl::StatusOr<RemoteSyscalls> RemoteSyscalls::Create(const FrozenTask& task) {
  ASSIGN_OR_RETURN(const uint64_t caught, CaughtSignals(task));
  ASSIGN_OR_RETURN(RemoteSyscalls scope, Start(task, caught));
  RETURN_IF_ERROR(scope.Settle());
  return scope;
}

absl::StatusOr<RemoteSyscalls> RemoteSyscalls::Start(const FrozenTask& task, uint64_t caught) {
  const TraceSpan span(TraceKind::kCalls, "go in", {{"pid", task.pid()}});
  ASSIGN_OR_RETURN(RemoteMemory opened, RemoteMemory::Open(task.dir()));
  auto memory = std::make_unique<RemoteMemory>(std::move(opened));
  static const std::vector<std::byte> code = Healer::Code();
  ASSIGN_OR_RETURN(std::string auxv, task.dir().ReadWhole("auxv"));
  ASSIGN_OR_RETURN(const InjectionSite site,
                   InjectionSite::Find(task.dir(), auxv, *memory, code, Healer::kPlaceSize));
  for (const FrozenThread& thread : task.threads()) {
    if (site.Holds(RemoteAddress(thread.registers.rip))) return OnItsWayHome(thread.tid);
  }
  RETURN_IF_ERROR(site.Fill(code));
  RemoteSyscalls scope(&task, std::move(memory), site);
  scope.auxv_ = std::move(auxv);
  scope.caught_ = caught;
  RETURN_IF_ERROR(scope.Leave(task.threads().front()));
  return scope;
}

RemoteSyscalls::RemoteSyscalls(RemoteSyscalls&& other) noexcept
    : task_(std::exchange(other.task_, nullptr)),
      memory_(std::move(other.memory_)),
      site_(other.site_),
      healer_(other.healer_),
      auxv_(std::move(other.auxv_)),
      scratch_(other.scratch_),
      caught_(other.caught_),
      away_(std::move(other.away_)),
      doing_(std::exchange(other.doing_, Doing::kNothing)),
      wanted_(other.wanted_),
      mapped_(std::exchange(other.mapped_, false)),
      done_(std::move(other.done_)) {}

RemoteSyscalls::~RemoteSyscalls() { Close().IgnoreError(); }

int RemoteSyscalls::StopSignal(uint64_t sigmask) const {
  for (const int signal : kIgnorable) {
    if (((sigmask | caught_) & BitOf(signal)) == 0) return signal;
  }
  return 0;
}

absl::Status RemoteSyscalls::Prepare(size_t place, const FrozenThread& thread) const {
  return site_.Write(
      healer_.Place(place),
      Healer::PlaceBytes({.go_on = GoOnRegisters(thread.registers), .sigmask = thread.sigmask}));
}

absl::Status RemoteSyscalls::Leave(const FrozenThread& thread) {
  RETURN_IF_ERROR(Prepare(0, thread));
  ASSIGN_OR_RETURN(AwayThread away, AwayThread::Leave(healer_, healer_.Place(0), *task_, thread,
                                                      StopSignal(thread.sigmask)));
  away_.emplace(std::move(away));
  return StartMapping();
}

absl::Status RemoteSyscalls::StartMapping() {
  // Once it is known, callers count on it.
  wanted_ = scratch_ ? scratch_ : Healer::RandomScratch();
  RETURN_IF_ERROR(away_->Start(healer_.Map(away_->guest(), wanted_)));
  doing_ = Doing::kMapping;
  return absl::OkStatus();
}

absl::Status RemoteSyscalls::Settle() {
  if (doing_ != Doing::kMapping) return absl::OkStatus();
  constexpr int kTries = 8;
  int error = 0;
  for (int i = 0; i < kTries; ++i) {
    if (i > 0) RETURN_IF_ERROR(StartMapping());
    doing_ = Doing::kNothing;
    ASSIGN_OR_RETURN(const GeneralRegisters told, away_->Finish());
    mapped_ = told.r12 == wanted_.value();
    if (mapped_) {
      scratch_ = wanted_;
      return absl::OkStatus();
    }
    error = static_cast<int>(-static_cast<int64_t>(told.r12));
    if (error != EEXIST) break;
  }
  return absl::ErrnoToStatus(
      error, absl::StrCat("process ", task_->pid(), " cannot map ", Healer::kScratchSize,
                          " bytes (see its RLIMIT_AS and the sysctl vm.max_map_count)"));
}

absl::Status RemoteSyscalls::ComeHome() {
  if (!away_) return absl::OkStatus();
  absl::Status status = StartComingHome();
  if (std::exchange(doing_, Doing::kNothing) == Doing::kUnmapping) {
    status.Update(away_->Finish().status());
  }
  mapped_ = false;
  status.Update(away_->ComeHome());
  away_.reset();
  return status;
}

absl::Status RemoteSyscalls::StartComingHome() {
  if (!away_ || doing_ == Doing::kUnmapping) return absl::OkStatus();
  absl::Status status = Settle();
  if (std::exchange(doing_, Doing::kNothing) == Doing::kRunning) {
    status.Update(away_->Finish().status());
  }
  if (!mapped_) return status;
  const absl::Status started = away_->Start(healer_.Unmap(away_->guest(), scratch_));
  if (started.ok()) doing_ = Doing::kUnmapping;
  status.Update(started);
  return status;
}

absl::StatusOr<GeneralRegisters> RemoteSyscalls::Do(const Healer::Task& task) {
  RETURN_IF_ERROR(away_->Start(task));
  return away_->Finish();
}

absl::Status RemoteSyscalls::SendAway(const FrozenThread& thread) {
  if (away_ && away_->tid() == thread.tid) return Settle();
  RETURN_IF_ERROR(ComeHome());
  RETURN_IF_ERROR(Leave(thread));
  return Settle();
}

absl::StatusOr<RemoteSyscalls::Copied> RemoteSyscalls::Copy(const FrozenThread& thread) {
  // No CLONE_FS: with it a copy that is still there would fail an unshare(CLONE_FS), and a chroot
  // in a new user namespace, of the task. Without CLONE_FILES all its descriptors would be counted
  // once more, and leases and locks looked at when the copy ends.
  return Clone(thread, CLONE_FILES | CLONE_IO);
}

absl::StatusOr<RemoteSyscalls::Copied> RemoteSyscalls::MakeBeside(const FrozenThread& thread) {
  return Clone(thread, CLONE_FILES | CLONE_IO | CLONE_VM);
}

absl::StatusOr<RemoteSyscalls::Copied> RemoteSyscalls::Clone(const FrozenThread& thread,
                                                             uint64_t flags) {
  RETURN_IF_ERROR(SendAway(thread));
  RETURN_IF_ERROR(PtraceSetOptions(thread.tid, TraceOptions(thread) | PTRACE_O_TRACECLONE));
  const absl::StatusOr<GeneralRegisters> told = Do(healer_.Copy(away_->guest(), scratch_, flags));
  // Held by nobody, it would exit; held by us, who give it up, it would stand for ever.
  if (!told.ok() && away_->newborn() > 0) kill(away_->newborn(), SIGKILL);
  RETURN_IF_ERROR(told.status());
  RETURN_IF_ERROR(PtraceSetOptions(thread.tid, TraceOptions(thread)));
  const auto result = static_cast<int64_t>(told->r14);
  if (result < 0) {
    return absl::ErrnoToStatus(static_cast<int>(-result),
                               absl::StrCat("process ", task_->pid(), " cannot be copied"));
  }
  const Copied copied{away_->newborn(), static_cast<pid_t>(result)};
  if (copied.pid <= 0) return absl::InternalError("a copy was made, and not told of");
  return copied;
}

absl::StatusOr<std::vector<int64_t>> RemoteSyscalls::Run(const FrozenThread& thread,
                                                         std::span<const RemoteCall> calls) {
  if (calls.empty()) {
    done_.clear();
    return std::vector<int64_t>();
  }
  RETURN_IF_ERROR(StartRun(thread, calls));
  return FinishRun();
}

absl::Status RemoteSyscalls::StartRun(const FrozenThread& thread,
                                      std::span<const RemoteCall> calls) {
  if (calls.empty() || calls.size() > kMostCalls) {
    return absl::InternalError(absl::StrCat(calls.size(), " system calls at once"));
  }
  RETURN_IF_ERROR(SendAway(thread));
  done_.clear();
  done_.reserve(calls.size());
  for (const RemoteCall& call : calls) {
    done_.push_back({.number = static_cast<uint64_t>(call.number), .arguments = call.arguments});
  }
  RETURN_IF_ERROR(memory_->Write(scratch_, std::as_bytes(std::span(done_))));
  RETURN_IF_ERROR(away_->Start(healer_.WorkThrough(away_->guest(), scratch_, done_.size())));
  doing_ = Doing::kRunning;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int64_t>> RemoteSyscalls::FinishRun() {
  // Others may have been told what to do since this was.
  const TraceSpan span(TraceKind::kCalls, "system calls",
                       {{"pid", task_ ? task_->pid() : 0}, {"calls", done_.size()}});
  if (std::exchange(doing_, Doing::kNothing) != Doing::kRunning) {
    return absl::InternalError("no system calls are being run");
  }
  RETURN_IF_ERROR(away_->Finish().status());
  RETURN_IF_ERROR(memory_->Read(scratch_, std::as_writable_bytes(std::span(done_))));
  std::vector<int64_t> results;
  results.reserve(done_.size());
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

absl::StatusOr<std::vector<GeneralRegisters>> RemoteSyscalls::LetTell(
    std::span<const FrozenThread* const> threads) const {
  std::vector<GeneralRegisters> told;
  told.reserve(threads.size());
  std::deque<AwayThread> away;
  const auto bring_eldest_home = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(told.emplace_back(), away.front().Finish());
    RETURN_IF_ERROR(away.front().ComeHome());
    away.pop_front();
    return absl::OkStatus();
  };
  // While the eldest tell, the next are sent: neither they nor we wait. The first place is taken.
  const size_t places = Places() - 1;
  for (size_t i = 0; i < threads.size(); ++i) {
    if (away.size() == places) RETURN_IF_ERROR(bring_eldest_home());
    const size_t place = 1 + i % places;
    RETURN_IF_ERROR(Prepare(place, *threads[i]));
    ASSIGN_OR_RETURN(AwayThread thread,
                     AwayThread::Leave(healer_, healer_.Place(place), *task_, *threads[i],
                                       StopSignal(threads[i]->sigmask)));
    away.push_back(std::move(thread));
    const RemoteAddress slot = scratch_ + i * sizeof(Healer::AnswerSlot);
    RETURN_IF_ERROR(away.back().Start(healer_.Ask(away.back().guest(), slot)));
  }
  while (!away.empty()) RETURN_IF_ERROR(bring_eldest_home());
  return told;
}

absl::StatusOr<std::vector<std::optional<ThreadAnswers>>> RemoteSyscalls::AskBeside(
    std::span<const FrozenThread* const> threads) const {
  ASSIGN_OR_RETURN(const std::vector<GeneralRegisters> told, LetTell(threads));
  std::vector<Healer::AnswerSlot> slots(threads.size());
  RETURN_IF_ERROR(memory_->Read(scratch_, std::as_writable_bytes(std::span(slots))));
  std::vector<std::optional<ThreadAnswers>> answers;
  answers.reserve(threads.size());
  for (size_t i = 0; i < threads.size(); ++i) {
    answers.push_back(Healer::AnswersOf(told[i], slots[i]));
  }
  return answers;
}

absl::StatusOr<std::vector<std::optional<ThreadAnswers>>> RemoteSyscalls::Interview(
    std::span<const FrozenThread> threads) {
  std::vector<std::optional<ThreadAnswers>> answers(threads.size());
  if (threads.empty() || Places() < 2) return answers;
  const TraceSpan span(TraceKind::kCalls, "interview", {{"threads", threads.size()}});
  done_.clear();
  if (!away_) RETURN_IF_ERROR(Leave(threads.front()));
  RETURN_IF_ERROR(Settle());
  // One that cannot tell would be led from stop to stop while the others wait.
  std::vector<const FrozenThread*> able;
  std::vector<size_t> indices;
  for (size_t i = 0; i < threads.size(); ++i) {
    const FrozenThread& thread = threads[i];
    if (thread.row || thread.tid == away_->tid() || StopSignal(thread.sigmask) == 0) continue;
    able.push_back(&thread);
    indices.push_back(i);
  }
  constexpr size_t kMostAnswers = Healer::kScratchSize / sizeof(Healer::AnswerSlot);
  for (size_t begin = 0; begin < able.size(); begin += kMostAnswers) {
    const size_t count = std::min(kMostAnswers, able.size() - begin);
    ASSIGN_OR_RETURN(const auto some, AskBeside(std::span(able).subspan(begin, count)));
    for (size_t i = 0; i < count; ++i) answers[indices[begin + i]] = some[i];
  }
  return answers;
}

absl::StatusOr<pid_t> RemoteSyscalls::Spawn(uint64_t shares) {
  if (!away_) RETURN_IF_ERROR(Leave(task_->threads().front()));
  RETURN_IF_ERROR(Settle());
  done_.clear();
  if (away_->tid() == task_->pid()) away_->HasOthers(*task_);
  ASSIGN_OR_RETURN(const GeneralRegisters told,
                   Do(healer_.Spawn(away_->guest(), scratch_, shares)));
  // That is the number in the task's own pid namespace. If there is such a thread in ours, too, it
  // is the same one, and else it is looked for: the others are all known, and stand.
  const auto is_new = [this](pid_t tid) {
    return std::none_of(task_->threads().begin(), task_->threads().end(),
                        [tid](const FrozenThread& thread) { return thread.tid == tid; });
  };
  const auto inside = static_cast<pid_t>(told.r14);
  if (inside > 0 && is_new(inside) && task_->dir().OpenThread(inside).ok()) return inside;
  ASSIGN_OR_RETURN(const std::vector<int> tids, ListNumbers(task_->dir(), "task"));
  for (const pid_t tid : tids) {
    if (is_new(tid)) return tid;
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("process ", task_->pid(),
                   " cannot start a thread (see its RLIMIT_NPROC and the pids.max of its cgroup)"));
}

absl::StatusOr<UniqueFd> RemoteSyscalls::OpenAside(long number,
                                                   const std::array<uint64_t, 3>& arguments) {
  // Not CLONE_FILES: what the thread opens is in no other thread's table.
  ASSIGN_OR_RETURN(const pid_t tid, Spawn(0));
  AsideThread thread(tid);
  RETURN_IF_ERROR(SetAside(thread, tid, number, arguments));
  ASSIGN_OR_RETURN(const int64_t result, thread.RunOneCall());
  if (result < 0) {
    return absl::ErrnoToStatus(static_cast<int>(-result),
                               absl::StrCat("system call ", number, " in process ", task_->pid()));
  }
  ASSIGN_OR_RETURN(UniqueFd taken, TakeFromThread(tid, static_cast<int>(result)));
  RETURN_IF_ERROR(thread.End());
  return taken;
}

absl::StatusOr<int64_t> RemoteSyscalls::AskAside(long number,
                                                 const std::array<uint64_t, 3>& arguments) {
  // To copy the descriptor table, and to close all that is in it, took 1 ms for 4,000 descriptors.
  ASSIGN_OR_RETURN(const pid_t tid, Spawn(CLONE_FILES));
  AsideThread thread(tid);
  RETURN_IF_ERROR(SetAside(thread, tid, number, arguments));
  ASSIGN_OR_RETURN(const GeneralRegisters at_end,
                   thread.RunToEnd(TraceOptions(task_->threads().front())));
  RETURN_IF_ERROR(thread.End());
  const std::optional<int64_t> result = Healer::ResultOfAside(at_end);
  if (!result) return absl::NotFoundError(absl::StrCat("process ", task_->pid(), " was killed"));
  return *result;
}

absl::Status RemoteSyscalls::SetAside(const AsideThread& thread, pid_t tid, long number,
                                      const std::array<uint64_t, 3>& arguments) const {
  RETURN_IF_ERROR(thread.WaitUntilStopped());
  ASSIGN_OR_RETURN(const GeneralRegisters registers, GetGeneralRegisters(tid));
  return SetGeneralRegisters(tid, healer_.Aside(registers, number, arguments));
}

absl::Status RemoteSyscalls::StartClose() {
  return task_ == nullptr ? absl::OkStatus() : StartComingHome();
}

absl::Status RemoteSyscalls::Close() {
  if (task_ == nullptr) return absl::OkStatus();
  const TraceSpan span(TraceKind::kCalls, "come home", {{"pid", task_->pid()}});
  absl::Status status = ComeHome();
  status.Update(site_.Clear());
  task_ = nullptr;
  return status;
}

}  // namespace dumpctl
