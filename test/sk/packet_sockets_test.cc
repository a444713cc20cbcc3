#include "dump/sk/packet_sockets.h"

#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/packet_diag.h>
#include <sys/socket.h>

#include <cstring>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using testing::HasSubstr;

// A row as the kernel sends it.
class PacketMessage {
 public:
  PacketMessage(uint8_t family, uint16_t protocol) {
    packet_diag_msg head = {};
    head.pdiag_family = family;
    head.pdiag_type = SOCK_RAW;
    head.pdiag_num = protocol;
    head.pdiag_ino = 17;
    Append(&head, sizeof head);
  }

  template <typename Value>
  PacketMessage& Add(uint16_t type, const Value& value) {
    const nlattr head = {.nla_len = static_cast<uint16_t>(NLA_HDRLEN + sizeof value),
                         .nla_type = type};
    Append(&head, sizeof head);
    Append(&value, sizeof value);
    bytes_.resize(NLA_ALIGN(bytes_.size()));
    return *this;
  }
  absl::StatusOr<PacketSocketRow> Parse() const { return ParsePacketDiag(bytes_); }

 private:
  void Append(const void* data, size_t size) {
    const size_t end = bytes_.size();
    bytes_.resize(end + size);
    std::memcpy(&bytes_[end], data, size);
  }

  std::vector<std::byte> bytes_;
};

packet_diag_info Info() {
  packet_diag_info info = {};
  info.pdi_index = 3;
  info.pdi_version = TPACKET_V2;
  info.pdi_reserve = 16;
  info.pdi_flags = PDI_AUXDATA | PDI_LOSS;
  return info;
}

TEST(ParsePacketDiagTest, ReadsARow) {
  packet_diag_mclist membership = {
      .pdmc_index = 3, .pdmc_type = PACKET_MR_MULTICAST, .pdmc_alen = 2};
  membership.pdmc_addr[0] = 1;
  membership.pdmc_addr[1] = 7;
  const packet_diag_ring ring = {
      .pdr_block_size = 4096, .pdr_block_nr = 4, .pdr_frame_size = 2048, .pdr_frame_nr = 8};
  const auto row = PacketMessage(AF_PACKET, 0x88b5)
                       .Add(PACKET_DIAG_INFO, Info())
                       .Add(PACKET_DIAG_MCLIST, membership)
                       .Add(PACKET_DIAG_TX_RING, ring)
                       .Add(PACKET_DIAG_FANOUT, uint32_t{0x10007})
                       .Parse();
  ASSERT_TRUE(row.ok()) << row.status();
  EXPECT_EQ(row->inode, 17);
  EXPECT_EQ(row->entry.type(), SOCK_RAW);
  EXPECT_EQ(row->entry.protocol(), 0xb588);  // as bind(2) takes it
  EXPECT_EQ(row->entry.ifindex(), 3);
  EXPECT_EQ(row->entry.version(), TPACKET_V2);
  EXPECT_EQ(row->entry.reserve(), 16);
  EXPECT_TRUE(row->entry.aux_data());
  EXPECT_TRUE(row->entry.loss());
  EXPECT_FALSE(row->entry.orig_dev());
  EXPECT_EQ(row->entry.mclist(0).addr(), "\1\7");
  EXPECT_EQ(row->entry.tx_ring().frame_nr(), 8);
  EXPECT_FALSE(row->entry.has_rx_ring());
  EXPECT_EQ(row->entry.fanout(), 0x10007);
}

TEST(ParsePacketDiagTest, RefusesWhatIsMalformed) {
  const auto says = [](const PacketMessage& message) {
    return std::string(message.Parse().status().message());
  };
  EXPECT_THAT(says(PacketMessage(AF_UNIX, 0)), HasSubstr("the family"));
  EXPECT_THAT(says(PacketMessage(AF_PACKET, 0)), HasSubstr("INFO"));
  const PacketMessage info = PacketMessage(AF_PACKET, 0).Add(PACKET_DIAG_INFO, Info());
  EXPECT_THAT(says(PacketMessage(info).Add(PACKET_DIAG_MCLIST, uint32_t{1})), HasSubstr("MCLIST"));
  EXPECT_THAT(says(PacketMessage(info).Add(PACKET_DIAG_RX_RING, uint32_t{1})), HasSubstr("a ring"));
  EXPECT_THAT(says(PacketMessage(info).Add(PACKET_DIAG_FANOUT, uint8_t{1})), HasSubstr("FANOUT"));
  packet_diag_mclist long_address = {.pdmc_index = 1, .pdmc_alen = 33};
  EXPECT_THAT(says(PacketMessage(info).Add(PACKET_DIAG_MCLIST, long_address)), HasSubstr("MCLIST"));
}

}  // namespace
}  // namespace dumpctl
