#include "dump/session/kinship.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"
#include "proc/proc_fs.h"
#include "proc/stat_parser.h"

namespace dumpctl {
namespace {

// Not by where its arguments are: a child that renames itself has them elsewhere (PR_SET_MM,
// prctl(2)). Restorers set these, too, for parent and child alike.
using Layout = std::pair<uint64_t, uint64_t>;

Layout LayoutOf(const TaskStat& stat) { return {stat.start_code, stat.start_stack}; }

// Nothing where it has ended.
absl::StatusOr<Layout> LayoutOf(pid_t pid) {
  ASSIGN_OR_RETURN(const ProcDir proc, ProcDir::OpenRoot());
  ASSIGN_OR_RETURN(const std::string text, proc.ReadWhole(absl::StrCat(pid, "/stat")));
  ASSIGN_OR_RETURN(const TaskStat stat, ParseStat(text));
  return LayoutOf(stat);
}

}  // namespace

Kinship KinshipOf(std::span<const Target> targets) {
  if (targets.empty()) return {};
  std::map<Layout, size_t> having;
  const absl::StatusOr<Layout> above = LayoutOf(targets.front().stat.ppid);
  if (above.ok()) ++having[*above];
  for (const Target& target : targets) ++having[LayoutOf(target.stat)];
  Kinship kinship;
  for (const Target& target : targets) {
    const Layout layout = LayoutOf(target.stat);
    if (having[layout] == 1) kinship.alone.insert(target.pid);
    if (above.ok() && layout == *above) kinship.of_parent.insert(target.pid);
  }
  return kinship;
}

}  // namespace dumpctl
