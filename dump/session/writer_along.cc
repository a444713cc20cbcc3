#include "dump/session/writer_along.h"

#include <string>
#include <utility>

#include "dump/session/copy_refusal.h"
#include "dump/session/self_writing.h"
#include "dumpctl/status_macros.h"
#include "proc/status_parser.h"

namespace dumpctl {
namespace {

absl::Status MayBeMade(const FrozenTask& task) {
  ASSIGN_OR_RETURN(const std::string text, task.dir().ReadWhole("status"));
  ASSIGN_OR_RETURN(const TaskStatus status, ParseStatus(text));
  if (status.seccomp_mode != 0) return absl::FailedPreconditionError("it runs under seccomp");
  if (HasOtherNamespaceForChildren(task)) {
    return absl::FailedPreconditionError("its children have namespaces of their own");
  }
  return IsLimitedApart(task.dir()) ? absl::FailedPreconditionError("its cgroup has limits")
                                    : absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<WriterAlong>> WriterAlong::Start(RemoteSyscalls& calls,
                                                                const FrozenTask& task,
                                                                uint64_t start_time,
                                                                CopyGuardian& guardian,
                                                                BorrowedFd file) {
  RETURN_IF_ERROR(MayBeMade(task));
  ASSIGN_OR_RETURN(const size_t number, guardian.Begin(task.pid(), start_time));
  absl::StatusOr<ProcessCopy> made = ProcessCopy::MakeBeside(calls, task);
  if (!made.ok()) {
    guardian.Done(number);
    return made.status();
  }
  guardian.Made(number, made->pid_inside());
  absl::StatusOr<std::unique_ptr<SelfWriter>> writer =
      WriterAlongOf(*made, calls.scratch(), RemoteSyscalls::kScratchSize, file);
  if (writer.ok()) {
    return std::unique_ptr<WriterAlong>(
        new WriterAlong(guardian, number, *std::move(made), *std::move(writer)));
  }
  if (made->EndBeside(calls, task).ok()) guardian.Done(number);
  return writer.status();
}

absl::Status WriterAlong::End(RemoteSyscalls& calls, const FrozenTask& task) {
  ended_ = true;
  writer_.reset();
  RETURN_IF_ERROR(process_.EndBeside(calls, task));
  guardian_.Done(number_);
  return absl::OkStatus();
}

WriterAlong::~WriterAlong() {
  if (ended_) return;
  writer_.reset();
  process_.End();
  guardian_.ReapNow(number_).IgnoreError();
}

}  // namespace dumpctl
