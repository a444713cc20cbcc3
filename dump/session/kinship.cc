#include "dump/session/kinship.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

#include "proc/stat_parser.h"

namespace dumpctl {
namespace {

// Not by where its arguments are: a child that renames itself has them elsewhere (PR_SET_MM,
// prctl(2)). Restorers set these, too, for parent and child alike.
using Layout = std::pair<uint64_t, uint64_t>;

Layout LayoutOf(const TaskStat& stat) { return {stat.start_code, stat.start_stack}; }

}  // namespace

std::set<pid_t> TasksWithoutKin(std::span<const Target> targets) {
  std::map<Layout, size_t> having;
  for (const Target& target : targets) ++having[LayoutOf(target.stat)];
  std::set<pid_t> alone;
  for (const Target& target : targets) {
    if (having[LayoutOf(target.stat)] == 1) alone.insert(target.pid);
  }
  return alone;
}

}  // namespace dumpctl
