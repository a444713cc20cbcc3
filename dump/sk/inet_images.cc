#include "dump/sk/inet_images.h"

#include <net/if.h>

namespace dumpctl {

image::inet_sk_entry InetEntry(const InetSocketFacts& facts, uint32_t inode, const SocketFile& file,
                               uint32_t net_namespace) {
  image::inet_sk_entry entry;
  entry.set_id(file.id);
  entry.set_ino(inode);
  entry.set_family(static_cast<uint32_t>(facts.type.family));
  entry.set_type(static_cast<uint32_t>(facts.type.type));
  entry.set_proto(static_cast<uint32_t>(facts.type.protocol));
  entry.set_state(facts.state);
  entry.set_src_port(facts.local.port);
  entry.set_dst_port(facts.remote.port);
  entry.set_flags(file.flags);
  // Of what does not listen it says nothing.
  entry.set_backlog(facts.row ? facts.row->send_queue : 0);
  for (const uint32_t word : facts.local.address) entry.add_src_addr(word);
  for (const uint32_t word : facts.remote.address) entry.add_dst_addr(word);
  *entry.mutable_fown() = file.owner;
  *entry.mutable_opts() = facts.options.entry;
  if (facts.inet.v6only) entry.set_v6only(*facts.inet.v6only);
  *entry.mutable_ip_opts() = facts.inet.ip;
  *entry.mutable_tcp_opts() = facts.inet.tcp;
  char device[IFNAMSIZ];
  if (facts.local.device != 0 && if_indextoname(facts.local.device, device) != nullptr) {
    entry.set_ifname(device);
  }
  if (facts.row) entry.set_ns_id(net_namespace);
  if (facts.row && facts.row->shutdown != 0) {
    entry.set_shutdown(static_cast<image::sk_shutdown>(facts.row->shutdown));
  } else if (facts.was_connected) {
    entry.set_shutdown(image::READ);
  }
  return entry;
}

}  // namespace dumpctl
