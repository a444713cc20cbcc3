#ifndef DUMP_NS_SYSV_IPC_H_
#define DUMP_NS_SYSV_IPC_H_

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/resource_refusal.h"
#include "proc/sysvipc_parser.h"
#include "proc/vma_list.h"
#include "proto/ipc.pb.h"

namespace dumpctl {

// A shared memory segment in a process (shmat(2)): one place of it, maybe in several mappings.
struct SysvAttachment {
  pid_t pid = 0;
  uint64_t base = 0;  // the address of the segment's first byte
  int32_t id = 0;
  uint64_t bytes = 0;  // that are still mapped
  size_t mappings = 0;
};

std::vector<SysvAttachment> SysvAttachmentsOf(pid_t pid, const VmaList& vmas);

// What a tree has of the System V objects of our IPC namespace. Stock restore puts no object into a
// namespace that is there, but makes one for the tree: so all that the tree is seen to use goes
// with it, under the same keys and ids, and nothing else may use any of it.
struct SysvIpc {
  struct Semaphores {
    SysvSemaphores set;
    std::vector<uint16_t> values;
    std::vector<pid_t> last;  // who has operated on each last (GETPID)
  };
  struct Message {
    int64_t type = 0;
    std::string text;
  };
  struct Queue {
    SysvQueue queue;
    uint64_t limit = 0;  // in bytes (msg_qbytes)
    std::vector<Message> messages;
  };
  std::vector<SysvSegment> segments;
  std::vector<Semaphores> semaphores;
  std::vector<Queue> queues;
  uint64_t first_limit = 0;  // of a queue that is made (kernel.msgmnb)

  bool empty() const { return segments.empty(); }
};

// The attached segments, and the semaphores and queues that a process of `tree` has used last.
// Messages are looked at and not received, which Linux has with CONFIG_CHECKPOINT_RESTORE.
// Nothing where no segment is attached: the objects then stay where they are, and so does the tree.
absl::StatusOr<SysvIpc> ReadSysvIpc(std::span<const SysvAttachment> attachments,
                                    std::span<const pid_t> tree);

// What a restore could not bring back. Pure.
ResourceRefusals RefuseSysvIpc(const SysvIpc& ipc, std::span<const SysvAttachment> attachments,
                               std::span<const pid_t> tree);

// What the images have no place for, for people.
std::vector<std::string> NotCaptured(const SysvIpc& ipc);

// Entries of ipcns-shm-N.img, ipcns-sem-N.img, with its values behind it, and ipcns-msg-N.img, with
// each message and its text behind that.
image::ipc_shm_entry SegmentEntry(const SysvSegment& segment);
struct SemaphoreData {
  image::ipc_sem_entry entry;
  std::string bytes;
};
SemaphoreData SemaphoreEntry(const SysvIpc::Semaphores& semaphores);
image::ipc_msg_entry QueueEntry(const SysvIpc::Queue& queue);
struct MessageData {
  image::ipc_msg entry;
  std::string bytes;
};
MessageData MessageEntry(const SysvIpc::Message& message);

// The limits of our IPC namespace, which the new one gets.
absl::StatusOr<image::ipc_var_entry> ReadIpcLimits();

// Its number.
inline constexpr uint32_t kOwnIpcNamespace = 10;

}  // namespace dumpctl

#endif  // DUMP_NS_SYSV_IPC_H_
