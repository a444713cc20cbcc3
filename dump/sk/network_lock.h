#ifndef DUMP_SK_NETWORK_LOCK_H_
#define DUMP_SK_NETWORK_LOCK_H_

#include <span>
#include <string>
#include <vector>

#include "dump/sk/inet_policy.h"
#include "dump/sk/inet_sockets.h"

namespace dumpctl {

// The rules by which no packet of a connection comes or goes, but for those of a restore, which
// marks its own. They are those of stock criu, whose restore takes them away again.

// A program to be run, and its standard input.
struct LockCommand {
  std::vector<std::string> arguments;  // the program first
  std::string input;
};

// Ends of connections, as facts have them: an IPv4 connection of an IPv6 socket is one of IPv4.
struct Connection {
  InetEndpoint local;
  InetEndpoint remote;
};

struct LockCommands {
  std::vector<LockCommand> lock;
  std::vector<LockCommand> unlock;
};

// `run_id`: what the inventory calls this dump. All or nothing of each command takes effect. None
// for NetworkLock::kSkip, or without connections. Pure.
LockCommands CommandsFor(NetworkLock method, std::span<const Connection> connections,
                         const std::string& run_id);

}  // namespace dumpctl

#endif  // DUMP_SK_NETWORK_LOCK_H_
