#ifndef DUMP_SK_UNIX_REFUSAL_H_
#define DUMP_SK_UNIX_REFUSAL_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "dump/sk/unix_sockets.h"
#include "dumpctl/resource_refusal.h"

namespace dumpctl {

// How the sockets of a dump are connected among each other and to others.
class UnixConnections {
 public:
  // `rows` must outlive the object. `ours`: the inodes of the dump's sockets; `unheld`: of those
  // among them that no task has, for they wait in a queue.
  UnixConnections(const UnixSocketRows& rows, std::set<uint32_t> ours,
                  std::set<uint32_t> unheld = {});

  // Who a restore connects it to: its peer, or the listening socket that has not accepted it yet.
  // 0 when there is none.
  uint32_t PeerOf(const UnixSocketRow& row) const;
  // Whether it waits to be accepted.
  bool IsPending(const UnixSocketRow& row) const { return listeners_.contains(row.inode); }
  bool IsOurs(uint32_t inode) const { return ours_.contains(inode); }
  // The other end is no socket of the dump.
  bool IsExternal(const UnixSocketRow& row) const;
  const UnixSocketRow* RowOf(uint32_t inode) const;
  // Whether one of those that are connected to it waits in a queue.
  bool HasUnheldSender(uint32_t inode) const;
  // The names of those that are connected to it.
  std::set<std::string> NamesOfConnected(uint32_t inode) const;

 private:
  const UnixSocketRows& rows_;
  std::set<uint32_t> ours_;
  std::set<uint32_t> unheld_;
  absl::flat_hash_map<uint32_t, uint32_t> listeners_;  // by who waits
  std::multimap<uint32_t, uint32_t> connected_;        // by whom to
};

// What stands in the way as far as its row tells; nothing when it can be dumped. `external`:
// --ext-unix-sk. Pure.
std::optional<WhyNotText> WhyNotConnected(const UnixSocketRow& row,
                                          const UnixConnections& connections, bool external);

// What stands in the way beyond that: options, queue. Pure.
std::optional<WhyNotText> WhyNotRestored(const UnixSocketFacts& facts,
                                         const UnixConnections& connections);

}  // namespace dumpctl

#endif  // DUMP_SK_UNIX_REFUSAL_H_
