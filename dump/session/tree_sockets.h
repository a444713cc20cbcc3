#ifndef DUMP_SESSION_TREE_SOCKETS_H_
#define DUMP_SESSION_TREE_SOCKETS_H_

#include "absl/status/status.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/peek_guardian.h"

namespace dumpctl {

// Reads all sockets of families that are dumped among the descriptors of frozen tasks, and those
// that wait in the queues of these, with all else that waits there.
absl::Status ReadSockets(const FrozenTree& tree, const KernelFeatures& features,
                         const SocketLikeness* likeness, PeekGuardian& guardian,
                         OpenFileIndex* index, TreeFacts& facts);

}  // namespace dumpctl

#endif  // DUMP_SESSION_TREE_SOCKETS_H_
