#ifndef DUMP_SK_SOCKET_FILE_H_
#define DUMP_SK_SOCKET_FILE_H_

#include <cstdint>

#include "proto/fown.pb.h"

namespace dumpctl {

// What an open file of a socket has by itself.
struct SocketFile {
  uint32_t id = 0;
  uint32_t flags = 0;
  image::fown_entry owner;
};

}  // namespace dumpctl

#endif  // DUMP_SK_SOCKET_FILE_H_
