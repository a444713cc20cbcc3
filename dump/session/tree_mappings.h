#ifndef DUMP_SESSION_TREE_MAPPINGS_H_
#define DUMP_SESSION_TREE_MAPPINGS_H_

#include <future>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/mm/page_scanner.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/helper.h"
#include "proc/bpf_vm_flags.h"

namespace dumpctl {

// The mappings of one. Those that were there in preflight open nothing.
absl::StatusOr<VmaList> ReadMappings(const FrozenTask& task, Preflight& preflight);

// Of all tasks, into `facts`. With `by_bpf` (it may be null), or where no helper is worth it, the
// flags of mappings as well.
absl::Status ReadTreeMappings(const FrozenTree& tree, Preflight& preflight,
                              const BpfVmFlags* by_bpf, TreeFacts& facts);

// Which pages there are, of all tasks but those that are scanned later. Their mappings must be
// there, and stay. Not by the helper, whom the flags of many mappings keep busy for long.
std::future<absl::StatusOr<std::vector<ScannedPages>>> ScanBeside(const FrozenTree& tree,
                                                                  const KernelFeatures& features,
                                                                  const Preflight& preflight,
                                                                  const TreeFacts& facts);

// `see` is shown the line of each mapping, as maps has it.
absl::StatusOr<ReadFlags> ReadFlagsFromSmaps(
    const FrozenTask& task,
    absl::FunctionRef<void(std::string_view)> see = [](std::string_view) {});

// Of all tasks, in their order, from smaps, which is slow; so it is done beside whatever else is
// done, by `helper`. Not before the tasks were asked, whose mappings are not their own meanwhile.
// Get before they run again.
using ReadFlagsLater = std::future<absl::StatusOr<std::vector<ReadFlags>>>;
ReadFlagsLater ReadFlagsBeside(const FrozenTree& tree, Helper& helper);

}  // namespace dumpctl

#endif  // DUMP_SESSION_TREE_MAPPINGS_H_
