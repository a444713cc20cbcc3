#ifndef DUMP_SK_INET_SOCKETS_H_
#define DUMP_SK_INET_SOCKETS_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/sk/inet_diag.h"
#include "dump/sk/inet_options.h"
#include "dump/sk/socket_options.h"
#include "dump/sk/tcp_stream.h"
#include "dumpctl/unique_fd.h"
#include "proc/multicast_parser.h"

namespace dumpctl {

// One end of a socket: an address as it stands in packets, in words of 32 bits.
struct InetEndpoint {
  std::vector<uint32_t> address;  // one word, or four
  uint16_t port = 0;
  uint32_t device = 0;  // of a link-local address of IPv6: its interface
};

// One internet socket, as it was read while its tasks stood still.
struct InetSocketFacts {
  int copy = -1;  // ours, which lives as long as the descriptors of the tasks do
  InetSocketType type;
  uint8_t state = 0;  // as in a row
  // None of a socket that has none: see AskForInetSockets.
  std::optional<InetSocketRow> row;
  InetEndpoint local;
  InetEndpoint remote;  // zeros where it is not connected
  SocketOptions options;
  InetOptions inet;
  bool error = false;          // waits to be told
  bool urgent = false;         // MSG_OOB waits to be read
  bool was_connected = false;  // of a closed socket of TCP
  bool received = false;       // of a raw socket: packets wait in it
  bool unsent = false;         // of UDP: a datagram was begun (MSG_MORE), or is on its way
  bool in_group = false;       // it has joined a multicast group
  std::optional<TcpStream> stream;
  bool is_local = true;  // its address is one of this machine's
};

// Whether `socket` is one of those that InetSockets reads: of TCP, UDP or UDP-Lite, or raw. An
// O_PATH descriptor is none.
std::optional<InetSocketType> InetTypeOf(BorrowedFd socket);

// The internet sockets of a dump, each once, however many tasks have it.
class InetSockets {
 public:
  // Reads the socket that `copy` of ours, with this inode, refers to; nothing when it is known. The
  // kernel is asked for all sockets of a protocol at the first of it, when all tasks stand.
  //
  // Errors: Failure::kHost, see AskForInetSockets.
  absl::Status Read(BorrowedFd copy, ino_t inode, const InetSocketType& type);

  // The inodes of connections of TCP: of what is connected, and of what was, and can be dumped as
  // far as is known of it.
  std::vector<uint32_t> Connections() const;
  // Reads a connection. See ReadTcpStream.
  absl::Status ReadStream(uint32_t inode);

  // Whether one of them shares its port (SO_REUSEPORT).
  bool AnySharesPort() const;
  // That socket has an option which is seen elsewhere. Nothing of one that is not known.
  void Lose(uint32_t inode, std::string_view option);

  const std::map<uint32_t, InetSocketFacts>& sockets() const { return sockets_; }

 private:
  absl::StatusOr<std::optional<InetSocketRow>> RowOf(uint32_t inode, int protocol);
  absl::StatusOr<bool> IsInGroup(BorrowedFd socket, int family);

  std::map<int, InetSocketRows> rows_;                 // by protocol
  std::map<int, std::vector<MulticastGroup>> groups_;  // by family
  InetOptionReader options_;
  std::map<uint32_t, InetSocketFacts> sockets_;
};

}  // namespace dumpctl

#endif  // DUMP_SK_INET_SOCKETS_H_
