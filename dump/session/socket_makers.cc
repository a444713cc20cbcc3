#include "dump/session/socket_makers.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "dump/sk/inet_images.h"
#include "dump/sk/inet_refusal.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

FileMaker UnixSocketMaker(UnixImages& sockets) {
  return [&sockets](const Descriptor& descriptor, uint32_t id, uint32_t flags,
                    const image::fown_entry& owner) -> absl::StatusOr<MadeFile> {
    ASSIGN_OR_RETURN(auto made, sockets.Entry(descriptor.stat.st_ino, {id, flags, owner}));
    if (auto* why_not = std::get_if<WhyNotText>(&made)) return std::move(*why_not);
    image::file_entry entry;
    entry.set_type(image::UNIXSK);
    entry.set_id(id);
    *entry.mutable_usk() = std::move(std::get<image::unix_sk_entry>(made));
    return entry;
  };
}

// Makes entries of facts by inode: `why_not` says why there is none, `fill` puts it into the
// file's.
template <typename Facts, typename WhyNotMade, typename Fill>
FileMaker MakerOf(const std::map<uint32_t, Facts>& sockets, image::fd_types type,
                  WhyNotMade why_not, Fill fill) {
  return
      [&sockets, type, why_not, fill](const Descriptor& descriptor, uint32_t id, uint32_t flags,
                                      const image::fown_entry& owner) -> absl::StatusOr<MadeFile> {
        const auto inode = static_cast<uint32_t>(descriptor.stat.st_ino);
        const auto known = sockets.find(inode);
        if (known == sockets.end()) {
          return absl::InternalError(absl::StrCat("socket ", inode, " was not read"));
        }
        if (std::optional<WhyNotText> refused = why_not(known->second)) return *std::move(refused);
        image::file_entry entry;
        entry.set_type(type);
        entry.set_id(id);
        fill(known->second, inode, SocketFile{id, flags, owner}, entry);
        return entry;
      };
}

}  // namespace

void MakeSockets(UnixImages& unix_sockets, const TreeFacts& facts, const InetPolicy& policy,
                 uint32_t net_namespace, FdCollector& descriptors) {
  descriptors.MakeBy(FileKind::kUnixSocket, UnixSocketMaker(unix_sockets));
  descriptors.MakeBy(
      FileKind::kInetSocket,
      MakerOf(
          facts.inet_sockets.sockets(), image::INETSK,
          [policy](const InetSocketFacts& socket) { return WhyNotInet(socket, policy); },
          [net_namespace](const InetSocketFacts& socket, uint32_t inode, const SocketFile& file,
                          image::file_entry& entry) {
            *entry.mutable_isk() = InetEntry(socket, inode, file, net_namespace);
          }));
  descriptors.MakeBy(FileKind::kNetlinkSocket,
                     MakerOf(
                         facts.netlink_sockets, image::NETLINKSK,
                         [](const NetlinkSocketFacts& socket) { return WhyNotNetlink(socket); },
                         [net_namespace](const NetlinkSocketFacts& socket, uint32_t inode,
                                         const SocketFile& file, image::file_entry& entry) {
                           *entry.mutable_nlsk() = NetlinkEntry(socket, inode, file, net_namespace);
                         }));
  descriptors.MakeBy(
      FileKind::kPacketSocket,
      MakerOf(
          facts.packet_sockets.sockets(), image::PACKETSK,
          [policy](const PacketSocketFacts& socket) { return WhyNotPacket(socket, policy); },
          [net_namespace](const PacketSocketFacts& socket, uint32_t, const SocketFile& file,
                          image::file_entry& entry) {
            *entry.mutable_psk() = PacketEntry(socket, file, net_namespace);
          }));
}

}  // namespace dumpctl
