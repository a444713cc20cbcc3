#include "dump/sk/unix_images.h"

#include <sys/socket.h>

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/image/no_owner.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// A unix_sk_entry's uflags, as restores know them: it is only connected to.
constexpr uint32_t kExternal = 1;

std::set<uint32_t> InodesOf(const UnixSockets& sockets, bool unheld_only) {
  std::set<uint32_t> inodes;
  for (const auto& [inode, facts] : sockets.sockets()) {
    if (!facts.held || !unheld_only) inodes.insert(inode);
  }
  return inodes;
}

// Options that say nothing, where the format wants some.
image::sk_opts_entry NoOptions() {
  image::sk_opts_entry options;
  options.set_so_sndbuf(0);
  options.set_so_rcvbuf(0);
  options.set_so_snd_tmo_sec(0);
  options.set_so_snd_tmo_usec(0);
  options.set_so_rcv_tmo_sec(0);
  options.set_so_rcv_tmo_usec(0);
  return options;
}

}  // namespace

UnixImages::UnixImages(const UnixSockets& sockets, bool external, uint32_t net_namespace)
    : sockets_(sockets),
      external_(external),
      net_namespace_(net_namespace),
      connections_(sockets.rows(), InodesOf(sockets, false), InodesOf(sockets, true)) {}

absl::Status UnixImages::SetName(const UnixSocketFacts& facts, image::unix_sk_entry& entry,
                                 std::optional<WhyNotText>& refusal) const {
  const std::string& name = facts.row->name;
  entry.set_name(name);
  if (facts.bound) return absl::InternalError("the path of a unix socket was not looked for");
  if (!facts.has_path) return absl::OkStatus();
  const std::optional<BoundPath>& found = facts.path;
  if (!found) {
    refusal = WhyNotText{absl::StrCat("the name that it was bound to (", name.c_str(),
                                      ") does not lead to its file"),
                         "put the file back under that name"};
    return absl::OkStatus();
  }
  if (!found->directory.empty()) entry.set_name_dir(found->directory);
  if (found->deleted) entry.set_deleted(true);
  image::file_perms_entry* permissions = entry.mutable_file_perms();
  permissions->set_mode(found->stat.st_mode);
  permissions->set_uid(found->stat.st_uid);
  permissions->set_gid(found->stat.st_gid);
  return absl::OkStatus();
}

absl::StatusOr<std::variant<image::unix_sk_entry, WhyNotText>> UnixImages::Entry(
    ino_t inode, const SocketFile& file) {
  const auto known = sockets_.sockets().find(static_cast<uint32_t>(inode));
  if (known == sockets_.sockets().end()) {
    return absl::InternalError(absl::StrCat("unix socket ", inode, " was not read"));
  }
  const UnixSocketFacts& facts = known->second;
  std::optional<WhyNotText> refusal = WhyNotRestored(facts, connections_);
  if (!refusal) refusal = WhyNotConnected(*facts.row, connections_, external_);
  if (refusal) return *refusal;
  ids_[known->first] = file.id;
  const UnixSocketRow& row = *facts.row;
  image::unix_sk_entry entry;
  entry.set_id(file.id);
  entry.set_ino(row.inode);
  entry.set_type(row.type);
  entry.set_state(row.state);
  entry.set_flags(file.flags);
  entry.set_uflags(0);
  entry.set_backlog(row.send_queue);
  entry.set_peer(connections_.PeerOf(row));
  *entry.mutable_fown() = file.owner;
  *entry.mutable_opts() = facts.options.entry;
  if (row.shutdown != 0) entry.set_shutdown(static_cast<image::sk_shutdown>(row.shutdown));
  entry.set_ns_id(net_namespace_);
  RETURN_IF_ERROR(SetName(facts, entry, refusal));
  if (refusal) return *refusal;
  return entry;
}

std::vector<image::unix_sk_entry> UnixImages::External() const {
  std::set<uint32_t> met;
  std::vector<image::unix_sk_entry> entries;
  for (const auto& [inode, facts] : sockets_.sockets()) {
    if (!facts.row || !connections_.IsExternal(*facts.row)) continue;
    const uint32_t peer = connections_.PeerOf(*facts.row);
    const UnixSocketRow* row = connections_.RowOf(peer);
    if (row == nullptr || !met.insert(peer).second) continue;
    image::unix_sk_entry& entry = entries.emplace_back();
    entry.set_ino(peer);
    entry.set_type(row->type);
    entry.set_state(kUnixListening);
    entry.set_flags(0);
    entry.set_uflags(kExternal);
    entry.set_backlog(0);
    entry.set_peer(0);
    *entry.mutable_fown() = NoOwner();
    *entry.mutable_opts() = NoOptions();
    entry.set_name(row->name);
    entry.set_ns_id(net_namespace_);
  }
  return entries;
}

std::vector<image::file_entry> PeersFirst(std::vector<image::file_entry> files) {
  std::map<uint32_t, size_t> places;  // of sockets, by inode
  for (size_t i = 0; i < files.size(); ++i) {
    if (files[i].has_usk()) places[files[i].usk().ino()] = i;
  }
  if (places.empty()) return files;
  std::vector<image::file_entry> ordered;
  ordered.reserve(files.size());
  std::vector<bool> done(files.size());
  for (size_t i = 0; i < files.size(); ++i) {
    // From one socket to the next, until one is done or has no peer; the last comes first.
    std::vector<size_t> chain;
    for (size_t next = i; !done[next];) {
      done[next] = true;
      chain.push_back(next);
      const auto peer = places.find(files[next].usk().peer());
      if (!files[next].has_usk() || peer == places.end()) break;
      next = peer->second;
    }
    for (auto at = chain.rbegin(); at != chain.rend(); ++at) {
      ordered.push_back(std::move(files[*at]));
    }
  }
  return ordered;
}

std::vector<QueueData> UnixImages::Queues(std::span<const uint32_t> queued) const {
  std::vector<QueueData> queues;
  for (const auto& [inode, facts] : sockets_.sockets()) {
    const auto id = ids_.find(inode);
    if (id == ids_.end()) continue;  // refused
    for (size_t i = 0; i < facts.queue.packets.size(); ++i) {
      QueueData& data = queues.emplace_back();
      data.bytes = facts.queue.packets[i].bytes;
      data.entry.set_id_for(id->second);
      data.entry.set_length(static_cast<uint32_t>(data.bytes.size()));
      if (facts.rights[i].empty()) continue;
      image::scm_entry* scm = data.entry.add_scm();
      scm->set_type(SCM_RIGHTS);
      for (const size_t place : facts.rights[i]) scm->add_rights(queued[place]);
    }
  }
  return queues;
}

}  // namespace dumpctl
