#ifndef DUMP_SESSION_SEEN_NAMES_H_
#define DUMP_SESSION_SEEN_NAMES_H_

#include <future>
#include <memory>

#include "absl/status/statusor.h"
#include "dump/fd/names_seen.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/helper.h"

namespace dumpctl {

// Asks, while the tree stands, all that images will tell of names in file systems: where those lead
// that its tasks have files open, mapped, watched or bound by, and what may be opened by them. A
// tree that runs on renames and removes files while its images are built.
//
// Done by `helper`, who alone touches these of `facts` meanwhile: the links of descriptors, what is
// watched and untouched, and the paths of unix sockets. Get before the tree runs again.
std::future<absl::StatusOr<std::shared_ptr<NamesSeen>>> SeeNamesBeside(TreeFacts& facts,
                                                                       Helper& helper);

}  // namespace dumpctl

#endif  // DUMP_SESSION_SEEN_NAMES_H_
