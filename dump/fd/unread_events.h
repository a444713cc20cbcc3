#ifndef DUMP_FD_UNREAD_EVENTS_H_
#define DUMP_FD_UNREAD_EVENTS_H_

#include <span>
#include <vector>

#include "dump/fd/descriptor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// Whether there are descriptors that tell of events (inotify(7), fanotify(7)).
bool HasEventQueues(std::span<const Descriptor> descriptors);

// Fills `waiting` of those among what PeekDescriptors gave, through copies that last a moment. Of a
// reader that has just been woken it is waited for, some 10 ms.
void PeekUnreadEvents(BorrowedFd pidfd, std::vector<Descriptor>& descriptors);

}  // namespace dumpctl

#endif  // DUMP_FD_UNREAD_EVENTS_H_
