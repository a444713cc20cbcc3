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
  ASSIGN_OR_RETURN(CopyGuardian::Guarded made, guardian.Guard(task.pid(), start_time, [&] {
    return ProcessCopy::MakeBeside(calls, task);
  }));
  absl::StatusOr<std::unique_ptr<SelfWriter>> writer =
      WriterAlongOf(made.copy, calls.scratch(), RemoteSyscalls::kScratchSize, file);
  if (writer.ok()) {
    return std::unique_ptr<WriterAlong>(
        new WriterAlong(guardian, made.number, std::move(made.copy), *std::move(writer)));
  }
  if (made.copy.EndBeside(calls, task).ok()) guardian.Done(made.number);
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
