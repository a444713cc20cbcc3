#ifndef DUMP_SESSION_SELF_WRITING_H_
#define DUMP_SESSION_SELF_WRITING_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/mm/kept_pages.h"
#include "dump/mm/self_writer.h"
#include "dump/tracee/process_copy.h"
#include "dump/tracee/rseq.h"
#include "dumpctl/remote_address.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// A copy of a task that is to write its memory into images by itself. What it does so is done as
// its task would do it, so it is asked only where that costs the task nothing: where no cgroup that
// we are not in limits its processors, its memory (the page cache that it fills counts) or its
// writing, nor a resource limit the file or its time. It is given our scheduling first.
//
// `rseq`: see CopyWriter. Errors, which leave a copy that can be read: why it is not asked.
// `kept`, which must outlive the writers: pages that it has no right contents of. Gives one writer,
// or up to `most` (two) where it can write into as many files at the same time.
using SelfWriters = std::vector<std::unique_ptr<SelfWriter>>;
absl::StatusOr<SelfWriters> WritersOf(const ProcessCopy& copy,
                                      const std::optional<RseqRegistration>& rseq,
                                      const KeptPages& kept, size_t most);
// The same of one made beside a frozen task, which is not limited apart; `scratch` and `size`: see
// CopyWriter::PrepareBeside.
absl::StatusOr<std::unique_ptr<SelfWriter>> WriterBesideOf(const ProcessCopy& beside,
                                                           RemoteAddress scratch, size_t size,
                                                           const KeptPages& kept);
// The same of one beside a process that is to run on, so that `scratch` is free no longer: it has
// `file` now, and no other. Small pieces it leaves to others.
absl::StatusOr<std::unique_ptr<SelfWriter>> WriterAlongOf(const ProcessCopy& beside,
                                                          RemoteAddress scratch, size_t size,
                                                          BorrowedFd file);

// Whether a cgroup that we are not in limits what the task uses of processors, memory or disks, or
// may: one that does not show counts. Of all above it, too.
bool IsLimitedApart(const ProcDir& task);

}  // namespace dumpctl

#endif  // DUMP_SESSION_SELF_WRITING_H_
