#ifndef DUMP_SESSION_KINSHIP_H_
#define DUMP_SESSION_KINSHIP_H_

#include <sys/types.h>

#include <set>
#include <span>

#include "dump/session/target.h"

namespace dumpctl {

// Which of a tree have no pages in common with others of it, or with the root's parent,
// copy-on-write: only fork(2) makes such, and execve(2) gives all of them up.
//
// Told by where the program has its parts, which children have where their parent has it, and
// address space randomization (random(4), personality(2)) gives each program anew. Without that,
// two that run the same program pass for kin. Pages that KSM has merged are not told.
struct Kinship {
  std::set<pid_t> alone;
  std::set<pid_t> of_parent;  // kin of the root's parent, which is not dumped

  // `all_known`: none has come since. One that has may be a child of any.
  bool MayShare(pid_t pid, bool all_known) const { return !all_known || !alone.contains(pid); }
};
Kinship KinshipOf(std::span<const Target> targets);

}  // namespace dumpctl

#endif  // DUMP_SESSION_KINSHIP_H_
