#ifndef DUMP_FD_ONE_DESCRIPTOR_H_
#define DUMP_FD_ONE_DESCRIPTOR_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/fd/descriptor.h"
#include "dumpctl/unique_fd.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// What lists of descriptors (ReadDescriptors and its like) are made of.

// All of one but the watches. `number` is that of `copy` among the descriptors of `task`.
absl::StatusOr<Descriptor> ReadDescriptor(const ProcDir& task, int number, UniqueFd copy);

// The same of a running task, without a copy. NotFound where it is closed by now.
absl::StatusOr<Descriptor> PeekDescriptor(const ProcDir& task, int number);
absl::StatusOr<Descriptor> PeekDescriptor(const ProcDir& task, const Glance& glance);

// Adds it, but not one that is NotFound.
absl::Status AddUnlessGone(absl::StatusOr<Descriptor> descriptor,
                           std::vector<Descriptor>& descriptors);

// Its fdinfo: O_CLOEXEC belongs to the descriptor, not to the open file, so no copy tells it.
absl::Status ReadInfo(const ProcDir& task, int number, Descriptor& descriptor);

// What takes its copy. A timer of a short period may expire between the two.
absl::Status AskCopy(const ProcDir& task, int number, Descriptor& descriptor);

// Following the link stats the very file, wherever its path leads by now.
absl::Status StatOf(const ProcDir& task, int number, struct stat& stat);

// Bytes of events, by its copy. Kernel objects have no type of file; those without events do not
// know the call.
int WaitingBytes(const Descriptor& descriptor);

// A character device that is not one of memory (/dev/null and its like).
bool MayBeTerminal(const struct stat& stat);

// What is read later needs the file itself, but one copy of it is enough. Of a pipe no writing end
// is, and of a unix socket none: it is read at once (ReadSockets).
bool NeedsCopy(const Descriptor& descriptor, bool is_first);

}  // namespace dumpctl

#endif  // DUMP_FD_ONE_DESCRIPTOR_H_
