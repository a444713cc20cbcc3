#ifndef DUMP_SK_INET_POLICY_H_
#define DUMP_SK_INET_POLICY_H_

#include <cstdint>

namespace dumpctl {

// How packets of a connection are kept away while it is dumped. The values are those that an
// inventory says it by.
enum class NetworkLock : uint8_t { kIptables = 0, kNftables = 1, kSkip = 2 };

// What a user lets a dump do with internet sockets; see dumpctl(1).
struct InetPolicy {
  bool skip_in_flight = false;
  bool tcp_established = false;
  bool tcp_close = false;
};

}  // namespace dumpctl

#endif  // DUMP_SK_INET_POLICY_H_
