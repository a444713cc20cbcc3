#ifndef PROC_MULTICAST_PARSER_H_
#define PROC_MULTICAST_PARSER_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dumpctl {

// A multicast group that somebody of a network namespace has joined on a device.
struct MulticastGroup {
  uint32_t device = 0;            // its index
  std::vector<uint32_t> address;  // as it stands in packets: one word of IPv4, four of IPv6

  friend bool operator==(const MulticastGroup&, const MulticastGroup&) = default;
};

// /proc/PID/net/igmp and /proc/PID/net/igmp6. Errors: DataLoss, quoting the line.
absl::StatusOr<std::vector<MulticastGroup>> ParseIgmp(std::string_view text);
absl::StatusOr<std::vector<MulticastGroup>> ParseIgmp6(std::string_view text);

}  // namespace dumpctl

#endif  // PROC_MULTICAST_PARSER_H_
