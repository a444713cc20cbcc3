#ifndef DUMP_SESSION_TREE_QUESTIONS_H_
#define DUMP_SESSION_TREE_QUESTIONS_H_

#include <span>

#include "absl/status/status.h"
#include "dump/session/frozen_facts.h"

namespace dumpctl {

// What only the tasks themselves can tell, after ReadTaskFacts. When this returns, they stand as
// they stood before.
//
// `session_keyring`: whether the first, the root, is asked for that as well, which takes a thread
// aside. Others mostly have the same.
absl::Status AskTasks(std::span<const FrozenTask> tasks, bool session_keyring,
                      std::span<FrozenFacts> facts);

}  // namespace dumpctl

#endif  // DUMP_SESSION_TREE_QUESTIONS_H_
