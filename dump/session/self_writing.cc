#include "dump/session/self_writing.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dump/cg/cgroup_hierarchies.h"
#include "dump/cg/cgroup_walk.h"
#include "dump/tracee/copy_writer.h"
#include "dumpctl/status_macros.h"
#include "proc/cgroup_parser.h"
#include "proc/memory_parsers.h"

namespace dumpctl {
namespace {

// What all that write by a CopyWriter have in common.
class WritesItself : public SelfWriter {
 public:
  explicit WritesItself(CopyWriter writer) : writer_(std::move(writer)) {}

  bool IsDone() override { return !started_ || writer_.IsDone(); }

  uint64_t Finish() override {
    if (!std::exchange(started_, false)) return 0;
    const absl::StatusOr<uint64_t> written = writer_.FinishWrite();
    if (written.ok()) return *written / kImagePageSize * kImagePageSize;
    // What it may not read it may do without; all else, it will not do better by and by.
    able_ = written.status().code() == absl::ErrnoToStatusCode(EFAULT);
    return 0;
  }

 protected:
  bool able() const { return able_; }
  bool Take(BorrowedFd file) {
    able_ = able_ && writer_.Take(file).ok();
    return able_;
  }
  size_t most_pieces() const { return writer_.most_pieces(); }
  // None where there are no pieces.
  void StartWrite(std::span<const iovec> pieces, uint64_t offset) {
    started_ = false;
    if (able_ && !pieces.empty()) started_ = able_ = writer_.StartWrite(pieces, offset).ok();
  }

 private:
  CopyWriter writer_;
  bool able_ = true;
  bool started_ = false;
};

iovec PieceOf(RemoteAddress start, uint64_t bytes) {
  return {reinterpret_cast<void*>(start.value()), bytes};
}

class CopyWritesItself final : public WritesItself {
 public:
  CopyWritesItself(CopyWriter writer, const KeptPages& kept)
      : WritesItself(std::move(writer)), kept_(kept) {}

  bool Begin(BorrowedFd file) override { return Take(file); }

  void Start(std::span<const PageRun> runs, uint64_t offset) override {
    FillPieces(runs);
    StartWrite(pieces_, offset);
  }

 private:
  // Up to the first kept page.
  void FillPieces(std::span<const PageRun> runs) {
    pieces_.clear();
    for (const PageRun& run : runs.first(std::min(runs.size(), most_pieces()))) {
      if (!kept_.At(run.start).empty()) return;
      const RemoteAddress end = std::min(run.end(), kept_.NextAfter(run.start));
      pieces_.push_back(PieceOf(run.start, end - run.start));
      if (end < run.end()) return;
    }
  }

  const KeptPages& kept_;
  std::vector<iovec> pieces_;
};

class WritesPieceByPiece final : public WritesItself {
 public:
  using WritesItself::WritesItself;

  bool Begin(BorrowedFd /*file*/) override { return able(); }

  void Start(std::span<const PageRun> runs, uint64_t offset) override {
    // For each it stops twice: less than this is read as fast.
    constexpr uint64_t kWorth = 128 << 10;
    const iovec piece = PieceOf(runs.front().start, runs.front().bytes());
    StartWrite(std::span(&piece, piece.iov_len < kWorth ? 0 : 1), offset);
  }
};

bool IsUnlimited(pid_t pid, __rlimit_resource resource) {
  const rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
  rlimit limit = {};
  return prlimit(pid, resource, nullptr, &limit) == 0 &&
         (limit.rlim_cur == RLIM_INFINITY || prlimit(pid, resource, &none, nullptr) == 0);
}

// It is not to take processors from others as its task may, nor to wait for them as that does.
bool ScheduleAsUs(pid_t pid) {
  const sched_param none = {};
  const int policy = sched_getscheduler(pid);
  if (policy != SCHED_OTHER && sched_setscheduler(pid, SCHED_OTHER, &none) != 0) return false;
  const auto who = static_cast<id_t>(pid);
  const int nice = getpriority(PRIO_PROCESS, 0);
  const bool as_nice =
      setpriority(PRIO_PROCESS, who, nice) == 0 || getpriority(PRIO_PROCESS, who) >= nice;
  cpu_set_t processors;
  // Where its cpuset has other ones, it stays on those.
  if (sched_getaffinity(0, sizeof processors, &processors) == 0) {
    (void)sched_setaffinity(pid, sizeof processors, &processors);
  }
  return as_nice;
}

bool HoldsNoLimit(BorrowedFd directory, std::string_view name) {
  const std::string text = ReadCgroupFile(directory, name);
  if (text.empty() || text.starts_with("max") || text.starts_with("-1")) return true;
  return name == "memory.limit_in_bytes" && ParseMemoryAmount(text).value_or(0) == UINT64_MAX;
}

bool IsLimited(CgroupHierarchies& hierarchies, const CgroupMembership& membership) {
  // A file that is not there, or empty (io.max), limits nothing.
  constexpr std::array<std::string_view, 6> kLimits = {
      "memory.max", "memory.high",           "cpu.max",
      "io.max",     "memory.limit_in_bytes", "cpu.cfs_quota_us"};
  constexpr std::array<std::string_view, 3> kControllers = {"memory", "cpu", "io"};
  const auto controls = [&](std::string_view name) { return MayControl(membership, name); };
  if (std::none_of(kControllers.begin(), kControllers.end(), controls)) return false;
  bool limited = false;
  const bool shown = WalkUp(hierarchies, membership, [&](BorrowedFd directory) {
    for (const std::string_view name : kLimits) limited |= !HoldsNoLimit(directory, name);
  });
  return limited || !shown;
}

absl::StatusOr<std::vector<CgroupMembership>> MembershipsOf(const ProcDir& task) {
  ASSIGN_OR_RETURN(const std::string text, task.Read("cgroup"));
  return ParseCgroup(text);
}

// From limits of its task, its cgroups' aside; an error where that cannot be.
absl::Status MakeFree(const ProcessCopy& copy) {
  if (!IsUnlimited(copy.pid(), RLIMIT_FSIZE) || !IsUnlimited(copy.pid(), RLIMIT_CPU)) {
    return absl::FailedPreconditionError("it has limits (RLIMIT_FSIZE, RLIMIT_CPU)");
  }
  if (!ScheduleAsUs(copy.pid())) {
    return absl::FailedPreconditionError("it cannot be scheduled as we are");
  }
  return absl::OkStatus();
}

}  // namespace

bool IsLimitedApart(const ProcDir& task) {
  const absl::StatusOr<ProcDir> self = ProcDir::OpenOwn();
  if (!self.ok()) return true;
  const absl::StatusOr<std::vector<CgroupMembership>> ours = MembershipsOf(*self);
  const absl::StatusOr<std::vector<CgroupMembership>> theirs = MembershipsOf(task);
  absl::StatusOr<CgroupHierarchies> hierarchies = CgroupHierarchies::Create("");
  if (!ours.ok() || !theirs.ok() || !hierarchies.ok()) return true;
  return std::any_of(theirs->begin(), theirs->end(), [&](const CgroupMembership& membership) {
    return std::find(ours->begin(), ours->end(), membership) == ours->end() &&
           IsLimited(*hierarchies, membership);
  });
}

absl::StatusOr<SelfWriters> WritersOf(const ProcessCopy& copy,
                                      const std::optional<RseqRegistration>& rseq,
                                      const KeptPages& kept, size_t most) {
  if (IsLimitedApart(copy.dir())) return absl::FailedPreconditionError("its cgroup has limits");
  RETURN_IF_ERROR(MakeFree(copy));
  ASSIGN_OR_RETURN(CopyWriter first, CopyWriter::Prepare(copy.pid(), copy.dir(), rseq));
  SelfWriters writers;
  if (most > 1) {
    absl::StatusOr<CopyWriter> second = first.AddThread(copy.dir());
    // One is enough.
    if (second.ok()) {
      writers.push_back(std::make_unique<CopyWritesItself>(*std::move(second), kept));
    }
  }
  writers.push_back(std::make_unique<CopyWritesItself>(std::move(first), kept));
  return writers;
}

absl::StatusOr<std::unique_ptr<SelfWriter>> WriterBesideOf(const ProcessCopy& beside,
                                                           RemoteAddress scratch, size_t size,
                                                           const KeptPages& kept) {
  RETURN_IF_ERROR(MakeFree(beside));
  ASSIGN_OR_RETURN(CopyWriter writer,
                   CopyWriter::PrepareBeside(beside.pid(), beside.dir(), scratch, size));
  return std::make_unique<CopyWritesItself>(std::move(writer), kept);
}

absl::StatusOr<std::unique_ptr<SelfWriter>> WriterAlongOf(const ProcessCopy& beside,
                                                          RemoteAddress scratch, size_t size,
                                                          BorrowedFd file) {
  RETURN_IF_ERROR(MakeFree(beside));
  ASSIGN_OR_RETURN(CopyWriter writer,
                   CopyWriter::PrepareBeside(beside.pid(), beside.dir(), scratch, size));
  RETURN_IF_ERROR(writer.Take(file));
  writer.LeaveScratch();
  return std::make_unique<WritesPieceByPiece>(std::move(writer));
}

}  // namespace dumpctl
