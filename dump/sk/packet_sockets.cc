#include "dump/sk/packet_sockets.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/packet_diag.h>
#include <sys/socket.h>

#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/sk/sock_diag.h"
#include "dumpctl/kernel_abi.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

struct Unplaced {
  int option;
  std::string_view name;
};

constexpr Unplaced kUnplaced[] = {{PACKET_TX_HAS_OFF, "PACKET_TX_HAS_OFF"},
                                  {PACKET_QDISC_BYPASS, "PACKET_QDISC_BYPASS"},
                                  {PACKET_IGNORE_OUTGOING, "PACKET_IGNORE_OUTGOING"}};

absl::Status Malformed(std::string_view field) {
  return absl::DataLossError(
      absl::StrCat("sock_diag: ", std::string(field), " of a packet socket is malformed"));
}

absl::Status ParseInfo(const nlattr* attribute, image::packet_sock_entry& entry) {
  const auto info = attribute == nullptr ? std::nullopt : DiagValue<packet_diag_info>(attribute);
  if (!info) return Malformed("INFO");
  entry.set_ifindex(info->pdi_index);
  entry.set_version(info->pdi_version);
  entry.set_reserve(info->pdi_reserve);
  entry.set_copy_thresh(info->pdi_copy_thresh);
  entry.set_timestamp(info->pdi_tstamp);
  entry.set_aux_data((info->pdi_flags & PDI_AUXDATA) != 0);
  entry.set_orig_dev((info->pdi_flags & PDI_ORIGDEV) != 0);
  entry.set_vnet_hdr((info->pdi_flags & PDI_VNETHDR) != 0);
  entry.set_loss((info->pdi_flags & PDI_LOSS) != 0);
  return absl::OkStatus();
}

absl::Status ParseMemberships(const nlattr* attribute, image::packet_sock_entry& entry) {
  if (attribute == nullptr) return absl::OkStatus();
  const std::span<const std::byte> bytes = DiagBytes(attribute);
  if (bytes.size() % sizeof(packet_diag_mclist) != 0) return Malformed("MCLIST");
  for (size_t at = 0; at < bytes.size(); at += sizeof(packet_diag_mclist)) {
    packet_diag_mclist membership;
    std::memcpy(&membership, &bytes[at], sizeof membership);
    if (membership.pdmc_alen > sizeof membership.pdmc_addr) return Malformed("MCLIST");
    image::packet_mclist* to = entry.add_mclist();
    to->set_index(membership.pdmc_index);
    to->set_type(membership.pdmc_type);
    to->set_addr(membership.pdmc_addr, membership.pdmc_alen);
  }
  return absl::OkStatus();
}

absl::Status ParseRing(const nlattr* attribute, image::packet_ring& ring) {
  const auto row = DiagValue<packet_diag_ring>(attribute);
  if (!row) return Malformed("a ring");
  ring.set_block_size(row->pdr_block_size);
  ring.set_block_nr(row->pdr_block_nr);
  ring.set_frame_size(row->pdr_frame_size);
  ring.set_frame_nr(row->pdr_frame_nr);
  ring.set_retire_tmo(row->pdr_retire_tmo);
  ring.set_sizeof_priv(row->pdr_sizeof_priv);
  ring.set_features(row->pdr_features);
  return absl::OkStatus();
}

absl::StatusOr<PacketSocketRows> AskForPacketSockets() {
  packet_diag_req request = {};
  request.sdiag_family = AF_PACKET;
  request.pdiag_show =
      PACKET_SHOW_INFO | PACKET_SHOW_MCLIST | PACKET_SHOW_RING_CFG | PACKET_SHOW_FANOUT;
  PacketSocketRows rows;
  RETURN_IF_ERROR(AskSockDiag(std::as_bytes(std::span(&request, 1)),
                              {"packet sockets", "CONFIG_PACKET_DIAG"},
                              [&rows](std::span<const std::byte> message) -> absl::Status {
                                ASSIGN_OR_RETURN(PacketSocketRow row, ParsePacketDiag(message));
                                const uint32_t inode = row.inode;
                                rows.insert_or_assign(inode, std::move(row));
                                return absl::OkStatus();
                              }));
  return rows;
}

}  // namespace

absl::StatusOr<PacketSocketRow> ParsePacketDiag(std::span<const std::byte> message) {
  packet_diag_msg head;
  if (message.size() < sizeof head) return Malformed("the head");
  std::memcpy(&head, message.data(), sizeof head);
  if (head.pdiag_family != AF_PACKET) return Malformed("the family");
  nlattr* found[PACKET_DIAG_MAX + 1];
  if (!ParseDiagAttributes(message.subspan(NLA_ALIGN(sizeof head)), found)) {
    return Malformed("an attribute");
  }
  PacketSocketRow row{.inode = head.pdiag_ino};
  image::packet_sock_entry& entry = row.entry;
  entry.set_type(head.pdiag_type);
  // As bind(2) takes it.
  entry.set_protocol(htons(head.pdiag_num));
  RETURN_IF_ERROR(ParseInfo(found[PACKET_DIAG_INFO], entry));
  RETURN_IF_ERROR(ParseMemberships(found[PACKET_DIAG_MCLIST], entry));
  if (const nlattr* ring = found[PACKET_DIAG_RX_RING]) {
    RETURN_IF_ERROR(ParseRing(ring, *entry.mutable_rx_ring()));
  }
  if (const nlattr* ring = found[PACKET_DIAG_TX_RING]) {
    RETURN_IF_ERROR(ParseRing(ring, *entry.mutable_tx_ring()));
  }
  if (const nlattr* fanout = found[PACKET_DIAG_FANOUT]) {
    const auto value = DiagValue<uint32_t>(fanout);
    if (!value) return Malformed("FANOUT");
    entry.set_fanout(*value);
  }
  return row;
}

absl::Status PacketSockets::Read(BorrowedFd copy, ino_t inode) {
  const auto [known, is_new] = sockets_.try_emplace(static_cast<uint32_t>(inode));
  if (!is_new) return absl::OkStatus();
  PacketSocketFacts& facts = known->second;
  if (!rows_) {
    ASSIGN_OR_RETURN(rows_, AskForPacketSockets());
  }
  const auto row = rows_->find(known->first);
  if (row != rows_->end()) facts.row = row->second;
  ASSIGN_OR_RETURN(facts.options, ReadSocketOptions(copy));
  LeaveOutCredentials(facts.options.entry);
  for (const Unplaced& option : kUnplaced) {
    int value = 0;
    socklen_t size = sizeof value;
    if (getsockopt(copy.get(), SOL_PACKET, option.option, &value, &size) == 0 && value != 0) {
      facts.lost.push_back(option.name);
    }
  }
  const SocketReadiness ready = ReadReadiness(copy);
  facts.received = ready.received;
  facts.error = ready.error;
  return absl::OkStatus();
}

std::optional<WhyNotText> WhyNotPacket(const PacketSocketFacts& facts, const InetPolicy& policy) {
  if (!facts.row) {
    return WhyNotText{"it belongs to another network namespace", "let the program close it"};
  }
  std::vector<std::string_view> lost = facts.options.lost;
  lost.insert(lost.end(), facts.lost.begin(), facts.lost.end());
  if (auto options = WhyNotOptions(lost)) return options;
  if (facts.error) {
    return WhyNotText{"an error waits to be told, which no restore brings back",
                      "let the program read from it"};
  }
  if (facts.received && !policy.skip_in_flight) {
    return WhyNotText{"packets wait in it, which no restore brings back",
                      "let the program read them, or add --skip-in-flight: they are then lost"};
  }
  return std::nullopt;
}

image::packet_sock_entry PacketEntry(const PacketSocketFacts& facts, const SocketFile& file,
                                     uint32_t net_namespace) {
  image::packet_sock_entry entry = facts.row->entry;
  entry.set_id(file.id);
  entry.set_flags(file.flags);
  *entry.mutable_fown() = file.owner;
  *entry.mutable_opts() = facts.options.entry;
  entry.set_ns_id(net_namespace);
  return entry;
}

}  // namespace dumpctl
