#ifndef DUMP_SK_TCP_STREAM_H_
#define DUMP_SK_TCP_STREAM_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"
#include "proto/sockets.pb.h"

namespace dumpctl {

// What a connection of TCP is beside its socket.
struct TcpStream {
  image::tcp_stream_entry entry;
  std::string received;  // that the program has not read
  std::string sent;      // that the other end has not acknowledged, or was not sent to it yet
};

// Turns repair mode on (tcp(7) has nothing of it; Linux 3.5): the connection ends without a word to
// the other end when its socket is closed. Errors: PermissionDenied without CAP_NET_ADMIN.
absl::Status StartRepair(BorrowedFd socket);

// Turns repair mode off. That takes SO_REUSEADDR along, which `reuse_address` puts back. Makes
// nothing but system calls.
bool EndRepair(int socket, bool reuse_address);

// Reads a connection in `state` (TCP_ESTABLISHED...) whose socket is in repair mode. No packet of
// it may come or go meanwhile. Errors: Unavailable when one did.
absl::StatusOr<TcpStream> ReadTcpStream(BorrowedFd socket, uint8_t state);

}  // namespace dumpctl

#endif  // DUMP_SK_TCP_STREAM_H_
