#include "dump/session/writer_beside.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dump/image/page_run.h"
#include "dump/mm/memory_source.h"
#include "dump/session/copy_refusal.h"
#include "dump/session/self_writing.h"
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
                                                                  CopyGuardian& guardian) {
  if (std::string why = WhyNoCopy(task, facts); !why.empty()) {
    return absl::FailedPreconditionError(why);
  }
  if (IsLimitedApart(task.dir())) return absl::FailedPreconditionError("its cgroup has limits");
  ASSIGN_OR_RETURN(const TaskStat stat, ParseStat(facts.process.stat_text));
  ASSIGN_OR_RETURN(FrozenTaskMemory memory,
                   FrozenTaskMemory::Open(task.pid(), task.dir(), facts.vmas));
  ASSIGN_OR_RETURN(RemoteSyscalls calls, RemoteSyscalls::Create(task));
  ASSIGN_OR_RETURN(KeptPages kept, PagesOf(calls.site(), memory));
  std::unique_ptr<WriterBeside> beside(new WriterBeside(
      task, guardian, std::move(calls), OverlaidTaskMemory(std::move(memory), std::move(kept))));
  absl::Status made = beside->Make(stat.start_time);
  if (made.ok()) return beside;
  made.Update(beside->End());
  return made;
}

absl::Status WriterBeside::Make(uint64_t start_time) {
  ASSIGN_OR_RETURN(number_, guardian_.Begin(task_.pid(), start_time));
  absl::StatusOr<ProcessCopy> made = ProcessCopy::MakeBeside(calls_, task_);
  if (!made.ok()) {
    guardian_.Done(number_);
    return made.status();
  }
  guardian_.Made(number_, made->pid_inside());
  process_.emplace(*std::move(made));
  ASSIGN_OR_RETURN(writer_, WriterBesideOf(*process_, calls_.scratch(), memory_.kept()));
  return absl::OkStatus();
}

absl::Status WriterBeside::End() {
  writer_.reset();
  absl::Status status;
  if (process_) {
    status = process_->EndBeside(calls_, task_);
    if (status.ok()) guardian_.Done(number_);
    process_.reset();
  }
  status.Update(calls_.Close());
  return status;
}

}  // namespace dumpctl
