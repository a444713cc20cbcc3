#include "dump/sk/network_lock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace dumpctl {
namespace {

// What a restore's own packets are marked with.
constexpr std::string_view kMark = "0xC114";

bool IsMapped(const InetEndpoint& end) {
  return end.address.size() == 4 && end.address[0] == 0 && end.address[1] == 0 &&
         end.address[2] == htonl(0xffff);
}

bool IsV4(const InetEndpoint& end) { return end.address.size() == 1 || IsMapped(end); }

std::string AddressText(const InetEndpoint& end) {
  char text[INET6_ADDRSTRLEN] = "";
  if (IsV4(end)) {
    inet_ntop(AF_INET, &end.address.back(), text, sizeof text);
  } else {
    inet_ntop(AF_INET6, end.address.data(), text, sizeof text);
  }
  return text;
}

std::string IptablesRule(std::string_view action, std::string_view chain, const InetEndpoint& from,
                         const InetEndpoint& to) {
  return absl::StrCat(std::string(action), " ", std::string(chain),
                      " --protocol tcp -m mark ! --mark ", std::string(kMark), " --source ",
                      AddressText(from), " --sport ", from.port, " --destination ", AddressText(to),
                      " --dport ", to.port, " -j DROP\n");
}

LockCommand Iptables(bool is_v4, std::string_view action, std::span<const Connection> connections) {
  LockCommand command;
  command.arguments = {is_v4 ? "iptables-restore" : "ip6tables-restore", "-w", "5", "--noflush"};
  command.input = "*filter\n";
  for (const Connection& connection : connections) {
    if (IsV4(connection.remote) != is_v4) continue;
    absl::StrAppend(&command.input,
                    IptablesRule(action, "INPUT", connection.remote, connection.local),
                    IptablesRule(action, "OUTPUT", connection.local, connection.remote));
  }
  command.input += "COMMIT\n";
  return command;
}

LockCommands IptablesCommands(std::span<const Connection> connections) {
  LockCommands commands;
  std::set<bool> families;
  for (const Connection& connection : connections) families.insert(IsV4(connection.remote));
  for (const bool is_v4 : families) {
    commands.lock.push_back(Iptables(is_v4, "-I", connections));
    commands.unlock.push_back(Iptables(is_v4, "-D", connections));
  }
  return commands;
}

std::string Element(const InetEndpoint& from, const InetEndpoint& to) {
  return absl::StrCat(AddressText(from), " . ", from.port, " . ", AddressText(to), " . ", to.port);
}

// A set of connections, and the rules that drop their packets.
std::string NftablesSet(const std::string& table, bool is_v4,
                        std::span<const Connection> connections) {
  const std::string name = is_v4 ? "conns4" : "conns6";
  const std::string type = is_v4 ? "ipv4_addr" : "ipv6_addr";
  const std::string ip = is_v4 ? "ip" : "ip6";
  std::string text = absl::StrCat("add set ", table, " ", name, " { type ", type,
                                  " . inet_service . ", type, " . inet_service; }\n");
  for (const char* const chain : {"output", "input"}) {
    absl::StrAppend(&text, "add rule ", table, " ", chain, " ", ip, " saddr . tcp sport . ", ip,
                    " daddr . tcp dport @", name, " drop\n");
  }
  std::set<std::string> elements;
  for (const Connection& connection : connections) {
    if (IsV4(connection.remote) != is_v4) continue;
    elements.insert(Element(connection.local, connection.remote));
    elements.insert(Element(connection.remote, connection.local));
  }
  for (const std::string& element : elements) {
    absl::StrAppend(&text, "add element ", table, " ", name, " { ", element, " }\n");
  }
  return text;
}

LockCommands NftablesCommands(std::span<const Connection> connections, const std::string& run_id) {
  // A restore cuts the name so.
  constexpr size_t kRunIdInName = 21;
  const std::string table = absl::StrCat("inet CRIU-", run_id.substr(0, kRunIdInName));
  std::string text = absl::StrCat("create table ", table, "\n");
  for (const char* const chain : {"output", "input"}) {
    absl::StrAppend(&text, "add chain ", table, " ", chain, " { type filter hook ", chain,
                    " priority 0; }\n", "add rule ", table, " ", chain, " meta mark ",
                    std::string(kMark), " accept\n");
  }
  absl::StrAppend(&text, NftablesSet(table, true, connections),
                  NftablesSet(table, false, connections));
  LockCommands commands;
  commands.lock.push_back({{"nft", "-f", "-"}, std::move(text)});
  commands.unlock.push_back({{"nft", "-f", "-"}, absl::StrCat("delete table ", table, "\n")});
  return commands;
}

}  // namespace

LockCommands CommandsFor(NetworkLock method, std::span<const Connection> connections,
                         const std::string& run_id) {
  if (connections.empty()) return {};
  switch (method) {
    case NetworkLock::kIptables:
      return IptablesCommands(connections);
    case NetworkLock::kNftables:
      return NftablesCommands(connections, run_id);
    case NetworkLock::kSkip:
      break;
  }
  return {};
}

}  // namespace dumpctl
