#include "dump/fd/unread_events.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dump/fd/file_refusal.h"
#include "dump/fd/one_descriptor.h"

namespace dumpctl {
namespace {

bool HasEventQueue(const Descriptor& descriptor) {
  const FileKind kind = FileKindOf(descriptor.stat, descriptor.link.value(), 0);
  return kind == FileKind::kInotify || kind == FileKind::kFanotify;
}

}  // namespace

bool HasEventQueues(std::span<const Descriptor> descriptors) {
  return std::any_of(descriptors.begin(), descriptors.end(), HasEventQueue);
}

void PeekUnreadEvents(BorrowedFd pidfd, std::vector<Descriptor>& descriptors) {
  constexpr int kLooks = 10;
  for (Descriptor& descriptor : descriptors) {
    if (!HasEventQueue(descriptor)) continue;
    // Who has closed it meanwhile has nothing unread.
    descriptor.copy = CopyDescriptor(pidfd, descriptor.number);
    if (!descriptor.copy) continue;
    for (int i = 0; i < kLooks; ++i) {
      descriptor.waiting = WaitingBytes(descriptor);
      if (descriptor.waiting == 0) break;
      absl::SleepFor(absl::Milliseconds(1));
    }
    descriptor.copy.Reset();
  }
}

}  // namespace dumpctl
