#include "dump/session/writer_beside.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dump/image/page_run.h"
#include "dump/mm/memory_source.h"
#include "dump/session/copy_refusal.h"
#include "dump/session/frozen_memory.h"
#include "dump/session/self_writing.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "proc/stat_parser.h"

namespace dumpctl {
namespace {

// The pages that our code stands on, as they are without it.
absl::StatusOr<KeptPages> PagesOf(const InjectionSite& site, const MemorySource& memory) {
  const uint64_t first = site.address().value() / kImagePageSize;
  const uint64_t end = (site.address() + site.size() + kImagePageSize - 1).value() / kImagePageSize;
  const PageRun run = {RemoteAddress(first * kImagePageSize), end - first};
  ASSIGN_OR_RETURN(KeptPages kept, KeptPages::Read(memory, {run}));
  kept.Zero(site.address(), site.size());
  return kept;
}

}  // namespace

absl::StatusOr<std::unique_ptr<WriterBeside>> WriterBeside::Start(const FrozenTask& task,
                                                                  const FrozenFacts& facts,
                                                                  CopyGuardian& guardian,
                                                                  size_t wanted) {
  if (std::string why = WhyNoCopy(facts); !why.empty()) {
    return absl::FailedPreconditionError(why);
  }
  if (IsLimitedApart(task.dir())) return absl::FailedPreconditionError("its cgroup has limits");
  ASSIGN_OR_RETURN(const TaskStat stat, ParseStat(facts.process.stat_text));
  ASSIGN_OR_RETURN(FrozenTaskMemory memory, OpenMemory(task, facts));
  ASSIGN_OR_RETURN(RemoteSyscalls calls, RemoteSyscalls::Create(task));
  ASSIGN_OR_RETURN(KeptPages kept, PagesOf(calls.site(), memory));
  std::unique_ptr<WriterBeside> beside(new WriterBeside(
      task, guardian, std::move(calls), OverlaidTaskMemory(std::move(memory), std::move(kept))));
  absl::Status made = beside->Make(stat.start_time, wanted);
  if (made.ok()) return beside;
  made.Update(beside->End());
  return made;
}

absl::Status WriterBeside::Make(uint64_t start_time, size_t wanted) {
  const size_t size = RemoteSyscalls::kScratchSize / wanted;
  for (size_t i = 0; i < wanted; ++i) {
    absl::Status made = MakeOne(start_time, calls_.scratch() + i * size, size);
    if (made.ok()) continue;
    // One is enough.
    if (i == 0 || FailureOf(made) == Failure::kTargetDied) return made;
    return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status WriterBeside::MakeOne(uint64_t start_time, RemoteAddress scratch, size_t size) {
  ASSIGN_OR_RETURN(CopyGuardian::Guarded made, guardian_.Guard(task_.pid(), start_time, [this] {
    return ProcessCopy::MakeBeside(calls_, task_);
  }));
  absl::StatusOr<std::unique_ptr<SelfWriter>> writer =
      WriterBesideOf(made.copy, scratch, size, memory_.kept());
  // One that cannot goes at the end, which tells if it does not.
  processes_.push_back({made.number, std::move(made.copy), nullptr});
  if (writer.ok()) processes_.back().writer = *std::move(writer);
  return writer.status();
}

absl::Status WriterBeside::End() {
  absl::Status status;
  for (Process& each : processes_) {
    each.writer.reset();
    const absl::Status ended = each.process.EndBeside(calls_, task_);
    if (ended.ok()) guardian_.Done(each.number);
    status.Update(ended);
  }
  processes_.clear();
  status.Update(calls_.Close());
  return status;
}

}  // namespace dumpctl
