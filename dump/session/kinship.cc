#include "dump/session/kinship.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <tuple>

#include "proc/stat_parser.h"

namespace dumpctl {
namespace {

// PR_SET_MM (prctl(2)) may set each of them, as restorers do, for parent and child alike.
using Layout = std::tuple<uint64_t, uint64_t, uint64_t>;

Layout LayoutOf(const TaskStat& stat) {
  return {stat.start_code, stat.start_stack, stat.arg_start};
}

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
