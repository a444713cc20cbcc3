#include "dump/session/tree_descriptors.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <utility>

#include "dump/session/descriptor_room.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"

namespace dumpctl {
namespace {

constexpr blksize_t kImagePageSizeAsBlock = kImagePageSize;

// Copies of pipes, which are of no more use.
void CloseTeed(std::vector<Descriptor>& descriptors) {
  for (Descriptor& descriptor : descriptors) {
    if (descriptor.copy && descriptor.link && descriptor.link->starts_with("pipe:")) {
      descriptor.copy.Reset();
    }
  }
}

// Where nothing was mounted, a link that is what it was leads where it led.
std::vector<Descriptor> TakePeeked(pid_t pid, bool mounts_changed, Preflight& preflight) {
  std::vector<Descriptor> peeked = std::move(preflight.tasks[pid].descriptors);
  if (mounts_changed) {
    for (Descriptor& descriptor : peeked) descriptor.named = false;
  }
  return peeked;
}

}  // namespace

absl::Status ReadMemfds(const std::vector<Descriptor>& descriptors, dev_t kernel_tmpfs,
                        TreeFacts& facts) {
  for (const Descriptor& descriptor : descriptors) {
    const struct stat& stat = descriptor.stat;
    // Few are of this file system, and links are dear.
    const bool may_be_huge = stat.st_nlink == 0 && stat.st_blksize > kImagePageSizeAsBlock;
    if (stat.st_dev != kernel_tmpfs && !may_be_huge) continue;
    if (facts.shared_memory.contains(stat.st_ino)) continue;
    if (!descriptor.copy) continue;  // it was looked at when it was met first
    ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
    ASSIGN_OR_RETURN(const std::string link, DescriptorLink(self, descriptor.copy.get()));
    if (!IsMemfd(stat, link, kernel_tmpfs)) continue;
    ASSIGN_OR_RETURN(facts.shared_memory,
                     AddMemfd(BorrowedFd(descriptor.copy), link, std::move(facts.shared_memory)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<OpenFileIndex>> IndexOpenFiles(const FrozenTree& tree,
                                                            const Preflight& preflight,
                                                            const TreeFacts& facts) {
  if (preflight.open_files) return OpenFileIndex(*preflight.open_files);
  constexpr size_t kOthers = 800;  // mapped files, and what waits in sockets
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return absl::ErrnoToStatus(errno, "getrlimit");
  size_t needed = kOthers + OurDescriptors(facts.tasks.size());
  std::set<uint32_t> tables;
  for (size_t i = 0; i < facts.tasks.size(); ++i) {
    if (!tables.insert(facts.tasks[i].objects.files).second) continue;
    const ProcDir& dir = tree.tasks()[i].dir();
    const size_t count = QuickCountOfDescriptors(dir);  // 0 before Linux 6.2
    needed += count;
    if (count > 0) continue;
    ASSIGN_OR_RETURN(const size_t listed, CountDescriptors(dir));
    needed += listed;
  }
  if (needed <= limit.rlim_cur) return std::nullopt;
  return OpenFileIndex();
}

absl::Status ReadTreeDescriptors(const FrozenTree& tree, Preflight& preflight, OpenFileIndex* index,
                                 TreeFacts& facts) {
  std::set<uint32_t> tables;
  const bool mounts_changed = !preflight.mounts || preflight.mounts->Changed();
  for (size_t i = 0; i < facts.tasks.size(); ++i) {
    const FrozenTask& task = tree.tasks()[i];
    FrozenFacts& read = facts.tasks[i];
    if (!tables.insert(read.objects.files).second) continue;
    TraceSpan span(TraceKind::kTask, "descriptors", {{"pid", task.pid()}});
    ASSIGN_OR_RETURN(const UniqueFd pidfd, task.OpenPidfd());
    ASSIGN_OR_RETURN(read.descriptors,
                     ReadDescriptors(task.dir(), task.pid(), BorrowedFd(pidfd), index,
                                     TakePeeked(task.pid(), mounts_changed, preflight)));
    ASSIGN_OR_RETURN(facts.pipes, TeePipes(*read.descriptors, std::move(facts.pipes)));
    RETURN_IF_ERROR(ReadMemfds(*read.descriptors, preflight.kernel_tmpfs, facts));
    if (index != nullptr) CloseTeed(*read.descriptors);
    span.Tell({"descriptors", read.descriptors->size()});
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
