#include "dump/session/terminal_preflight.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/fd/file_refusal.h"
#include "dump/fd/one_descriptor.h"
#include "dump/tty/terminal.h"
#include "dumpctl/status_macros.h"
#include "proc/fdinfo_parser.h"

namespace dumpctl {
namespace {

// Nothing is opened: that could open another end, or keep one open.
TerminalFacts FactsOf(const struct stat& stat, const FdInfo& info) {
  TerminalFacts facts{.kind = TerminalKindOf(stat.st_rdev), .stat = stat};
  facts.device = TerminalDevice(stat.st_rdev);
  if (facts.kind == TerminalKind::kSlave) {
    facts.number = minor(stat.st_rdev);
    // Its name goes when its other end is closed.
    facts.hung_up = stat.st_nlink == 0;
  }
  if (facts.kind == TerminalKind::kMaster && info.terminal) {
    facts.number = *info.terminal;
    facts.device = SlaveDevice(facts.number);
  }
  return facts;
}

// Those of a task that has gone meanwhile are none.
absl::StatusOr<std::vector<PeekedTerminal>> PeekTerminals(const Target& target) {
  std::vector<PeekedTerminal> terminals;
  const absl::StatusOr<std::vector<Descriptor>> descriptors = PeekDescriptors(target.dir);
  if (!descriptors.ok() && IsDead(target)) return terminals;
  RETURN_IF_ERROR(descriptors.status());
  for (const Descriptor& descriptor : *descriptors) {
    ASSIGN_OR_RETURN(std::optional<PeekedTerminal> terminal, PeekTerminal(target.pid, descriptor));
    if (terminal) terminals.push_back(*std::move(terminal));
  }
  return terminals;
}

std::vector<TaskStat> StatsOf(std::span<const Target> targets) {
  std::vector<TaskStat> tree;
  for (const Target& target : targets) tree.push_back(target.stat);
  return tree;
}

bool HasContents(const TerminalScene& scene, const TerminalFacts& terminal) {
  if (terminal.kind != TerminalKind::kMaster) return false;
  const TerminalContents* contents = scene.ContentsOf(terminal.number);
  return contents != nullptr && !(contents->input.empty() && contents->output.empty());
}

ResourceRefusals Judge(const std::vector<PeekedTerminal>& terminals, std::span<const TaskStat> tree,
                       const TerminalOptions& options) {
  std::vector<TerminalFacts> facts;
  for (const PeekedTerminal& terminal : terminals) facts.push_back(terminal.facts);
  const TerminalScene scene(facts, tree, options);
  ResourceRefusals refusals = scene.RefuseLeaders();
  for (const PeekedTerminal& terminal : terminals) {
    std::optional<WhyNotText> why_not = scene.WhyNot(terminal.facts);
    if (!why_not) continue;
    refusals.push_back(
        {terminal.pid, terminal.name, std::move(why_not->why), std::move(why_not->remedy)});
  }
  return refusals;
}

}  // namespace

absl::StatusOr<std::optional<PeekedTerminal>> PeekTerminal(pid_t pid,
                                                           const Descriptor& descriptor) {
  if (!MayBeTerminal(descriptor.stat)) return std::nullopt;
  const std::string& link = descriptor.link.value();
  ASSIGN_OR_RETURN(const FdInfo info, InfoOf(descriptor));
  if (FileKindOf(descriptor.stat, link, info.flags) != FileKind::kTerminal) return std::nullopt;
  if (WhyNotDumpable(descriptor.stat, link, info)) return std::nullopt;
  return PeekedTerminal{
      .pid = pid,
      .number = descriptor.number,
      .name = absl::StrCat("fd ", descriptor.number, " (terminal, ", link, ")"),
      .facts = FactsOf(descriptor.stat, info),
  };
}

absl::StatusOr<ResourceRefusals> RefuseTerminals(const std::vector<PeekedTerminal>& before,
                                                 std::span<const Target> targets,
                                                 const TerminalOptions& options) {
  const std::vector<TaskStat> tree = StatsOf(targets);
  const ResourceRefusals suspected = Judge(before, tree, options);
  if (suspected.empty()) return suspected;
  std::vector<PeekedTerminal> after;
  for (const Target& target : targets) {
    ASSIGN_OR_RETURN(std::vector<PeekedTerminal> terminals, PeekTerminals(target));
    std::move(terminals.begin(), terminals.end(), std::back_inserter(after));
  }
  ResourceRefusals refusals;
  for (ResourceRefusal& refusal : Judge(after, tree, options)) {
    const bool stood = std::any_of(suspected.begin(), suspected.end(), [&](const auto& other) {
      return other.pid == refusal.pid && other.resource == refusal.resource;
    });
    if (stood) refusals.push_back(std::move(refusal));
  }
  return refusals;
}

absl::StatusOr<bool> HasTerminalData(std::span<const Target> targets,
                                     const BpfTerminalQueues& queues,
                                     const TerminalOptions& options) {
  std::vector<UniqueFd> copies;
  std::vector<TerminalFacts> terminals;
  for (const Target& target : targets) {
    ASSIGN_OR_RETURN(const std::vector<PeekedTerminal> peeked, PeekTerminals(target));
    if (peeked.empty()) continue;
    const UniqueFd pidfd = target.OpenPidfd();
    for (const PeekedTerminal& terminal : peeked) {
      UniqueFd copy = CopyDescriptor(BorrowedFd(pidfd), terminal.number);
      if (!copy) continue;
      // Waits for what is on its way, too. It may be hung up, or another file, by now.
      absl::StatusOr<TerminalFacts> facts = ReadTerminal(BorrowedFd(copy));
      if (!facts.ok()) continue;
      terminals.push_back(*std::move(facts));
      copies.push_back(std::move(copy));
    }
  }
  // It may be read from meanwhile.
  const auto read = queues.Read();
  if (!read.ok()) return false;
  for (size_t i = 0; i < terminals.size(); ++i) {
    const auto queue = read->find(copies[i].get());
    if (queue != read->end()) terminals[i].queue = queue->second;
  }
  const std::vector<TaskStat> tree = StatsOf(targets);
  const TerminalScene scene(terminals, tree, options);
  return std::any_of(terminals.begin(), terminals.end(), [&scene](const TerminalFacts& terminal) {
    return HasContents(scene, terminal);
  });
}

}  // namespace dumpctl
