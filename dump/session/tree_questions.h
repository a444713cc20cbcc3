#ifndef DUMP_SESSION_TREE_QUESTIONS_H_
#define DUMP_SESSION_TREE_QUESTIONS_H_

#include <span>

#include "absl/status/status.h"
#include "dump/session/frozen_facts.h"

namespace dumpctl {

// What only the tasks themselves can tell, after ReadTaskFacts. When this returns, they stand as
// they stood before.
//
// The first, the root, and leaders of sessions are asked for their keyrings, which takes a thread
// aside; others have those of who started them.
absl::Status AskTasks(std::span<const FrozenTask> tasks, std::span<FrozenFacts> facts);

}  // namespace dumpctl

#endif  // DUMP_SESSION_TREE_QUESTIONS_H_
