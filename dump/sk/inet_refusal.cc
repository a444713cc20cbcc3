#include "dump/sk/inet_refusal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"

namespace dumpctl {
namespace {

WhyNotText Refusal(std::string_view why, std::string_view remedy) {
  return {std::string(why), std::string(remedy)};
}

constexpr std::string_view kConnectedRemedy =
    "add --tcp-established, or --tcp-close: a restore then closes it";

std::optional<WhyNotText> WhyNotDatagrams(const InetSocketFacts& facts, const InetPolicy& policy) {
  if (facts.in_group) {
    return Refusal("it has joined a multicast group, and no restore joins it again",
                   "let the program leave the group");
  }
  if (facts.inet.corked || facts.unsent) {
    return Refusal("it has begun a datagram (UDP_CORK, MSG_MORE) and not sent it yet",
                   "let the program send it");
  }
  if (facts.type.type == SOCK_RAW && facts.state == TCP_ESTABLISHED) {
    return Refusal("it is a raw socket that is connected, and no restore connects it again",
                   "let the program close it");
  }
  const bool received = facts.received || (facts.row && facts.row->receive_queue > 0);
  if (received && !policy.skip_in_flight) {
    return Refusal("datagrams wait in it, which no restore brings back",
                   "let the program read them, or add --skip-in-flight: they are then lost");
  }
  return std::nullopt;
}

}  // namespace

std::optional<WhyNotText> WhyNotTcp(const InetSocketRow& row, const InetPolicy& policy) {
  if (row.has_signatures) {
    return Refusal("its segments are signed (TCP_MD5SIG), and no restore gives it the keys",
                   "let the program close it");
  }
  if (row.state == TCP_LISTEN) {
    if (row.receive_queue == 0 || policy.skip_in_flight) return std::nullopt;
    return WhyNotText{absl::StrCat(row.receive_queue, " connections wait to be accepted"),
                      "let the program accept them, or add --skip-in-flight: they are then lost"};
  }
  if (row.state == TCP_CLOSE) return std::nullopt;
  if (row.state == TCP_SYN_SENT || row.state == TCP_SYN_RECV) {
    return Refusal("it is about to be connected", "dump it when it is connected");
  }
  if (policy.tcp_established || policy.tcp_close) return std::nullopt;
  return Refusal("it is connected", kConnectedRemedy);
}

std::optional<WhyNotText> WhyNotInet(const InetSocketFacts& facts, const InetPolicy& policy) {
  if (facts.inet.foreign) {
    return Refusal("it belongs to another network namespace", "let the program close it");
  }
  std::vector<std::string_view> lost = facts.options.lost;
  lost.insert(lost.end(), facts.inet.lost.begin(), facts.inet.lost.end());
  if (auto options = WhyNotOptions(lost)) return options;
  if (facts.error) {
    return Refusal("an error waits to be told, which no restore brings back",
                   "let the program read from it");
  }
  if (!facts.is_local) {
    return Refusal(
        "it is bound to an address that this machine does not have (IP_FREEBIND), and "
        "restores bind before they set that",
        "add the address to a device");
  }
  if (facts.type.type != SOCK_STREAM) return WhyNotDatagrams(facts, policy);
  if (facts.was_connected && !policy.tcp_established && !policy.tcp_close) {
    return Refusal("it was connected", kConnectedRemedy);
  }
  if (facts.urgent && !policy.tcp_close) {
    return Refusal("urgent data (MSG_OOB) waits in it, which no restore brings back",
                   "let the program read it");
  }
  return facts.row ? WhyNotTcp(*facts.row, policy) : std::nullopt;
}

}  // namespace dumpctl
