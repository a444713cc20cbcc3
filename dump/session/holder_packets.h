#ifndef DUMP_SESSION_HOLDER_PACKETS_H_
#define DUMP_SESSION_HOLDER_PACKETS_H_

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "dump/session/tracked_tree.h"
#include "dumpctl/unique_fd.h"

// What a TrackingHolder and who asks it say to each other.
namespace dumpctl::holder {

// One packet each. Both ends are this very program, or another version of it: it says which.
inline constexpr uint32_t kVersion = 3;
struct Head {
  uint32_t version = kVersion;
  uint32_t tasks = 0;
  TrackingWay way = TrackingWay::kWriteWatch;
  uint32_t reserved = 0;
  char run_id[64] = {};
};
// With the descriptors of WatchedTask that it has, in that order.
struct TaskPacket {
  int32_t pid = 0;
  uint16_t has_sent = 0;
  uint16_t has_claim = 0;
  uint64_t identity = 0;
};
inline constexpr char kAsk = 'a';
inline constexpr char kTake = 't';
inline constexpr char kDone = 'd';
inline constexpr size_t kMostDescriptors = 4;

struct Address {
  sockaddr_un name = {.sun_family = AF_UNIX};
  socklen_t size = 0;
};

// The first packet, from the dumper that has started the holder; a TaskPacket of each task follows,
// whose first descriptor is the task's pidfd.
struct Handover {
  Address address;
  Head head;
};

Address AddressOf(pid_t pid, uint64_t start_time);
// That of ClaimTask.
Address ClaimAddressOf(pid_t pid, uint64_t start_time);
UniqueFd NewSocket();
// From now on neither a packet is waited for, nor room for one, for more than some seconds.
void LosePatience(int socket);
// Whether its peer is of the same user, or of root.
bool IsTrusted(int socket);

bool Send(int socket, const void* bytes, size_t size, std::span<const int> fds = {});
// A packet of exactly that size, and the descriptors with it.
bool Receive(int socket, void* bytes, size_t size, std::vector<UniqueFd>* fds = nullptr);

}  // namespace dumpctl::holder

#endif  // DUMP_SESSION_HOLDER_PACKETS_H_
