#ifndef DUMP_SESSION_SOCKET_MAKERS_H_
#define DUMP_SESSION_SOCKET_MAKERS_H_

#include <cstdint>

#include "dump/fd/fd_collector.h"
#include "dump/session/frozen_facts.h"
#include "dump/sk/inet_policy.h"
#include "dump/sk/unix_images.h"

namespace dumpctl {

// Has `descriptors` make the entries of sockets of every family. `unix_sockets` and `facts` must
// outlive it. `net_namespace`: its number in the images.
void MakeSockets(UnixImages& unix_sockets, const TreeFacts& facts, const InetPolicy& policy,
                 uint32_t net_namespace, FdCollector& descriptors);

}  // namespace dumpctl

#endif  // DUMP_SESSION_SOCKET_MAKERS_H_
