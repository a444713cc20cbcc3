#include "dump/session/kinship.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "proc/stat_parser.h"

namespace dumpctl {
namespace {

// Not by where its arguments are: a child that renames itself has them elsewhere (PR_SET_MM,
// prctl(2)). Restorers set these, too, for parent and child alike.
using Layout = std::pair<uint64_t, uint64_t>;

Layout LayoutOf(const TaskStat& stat) { return {stat.start_code, stat.start_stack}; }

}  // namespace

Kinship KinshipOf(std::span<const Target> targets) {
  if (targets.empty()) return {};
  std::map<Layout, size_t> having;
  // Nobody where it has ended.
  std::optional<Layout> above;
  if (const auto stat = StatOfTask(targets.front().stat.ppid); stat.ok()) above = LayoutOf(*stat);
  if (above) ++having[*above];
  for (const Target& target : targets) ++having[LayoutOf(target.stat)];
  Kinship kinship;
  for (const Target& target : targets) {
    const Layout layout = LayoutOf(target.stat);
    if (having[layout] == 1) kinship.alone.insert(target.pid);
    if (layout == above) kinship.of_parent.insert(target.pid);
  }
  return kinship;
}

}  // namespace dumpctl
