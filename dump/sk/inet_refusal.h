#ifndef DUMP_SK_INET_REFUSAL_H_
#define DUMP_SK_INET_REFUSAL_H_

#include <optional>

#include "dump/sk/inet_diag.h"
#include "dump/sk/inet_policy.h"
#include "dump/sk/inet_sockets.h"
#include "dumpctl/resource_refusal.h"

namespace dumpctl {

// What stands in the way of a socket of TCP, as far as its row tells; nothing when it can be
// dumped. Pure.
std::optional<WhyNotText> WhyNotTcp(const InetSocketRow& row, const InetPolicy& policy);

// What stands in the way of a socket. Pure.
std::optional<WhyNotText> WhyNotInet(const InetSocketFacts& facts, const InetPolicy& policy);

}  // namespace dumpctl

#endif  // DUMP_SK_INET_REFUSAL_H_
