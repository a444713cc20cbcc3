#include "dump/session/tree_terminals.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "dump/fd/file_refusal.h"
#include "dump/fd/one_descriptor.h"
#include "dump/fd/open_file.h"
#include "dumpctl/status_macros.h"
#include "proc/stat_parser.h"

namespace dumpctl {
namespace {

absl::Status ReadAll(const std::vector<Descriptor>& descriptors, pid_t holder, const ProcDir& self,
                     TreeTerminals& terminals) {
  for (const Descriptor& descriptor : descriptors) {
    if (!MayBeTerminal(descriptor.stat) || !descriptor.copy) continue;
    ASSIGN_OR_RETURN(const std::string link, DescriptorLink(self, descriptor.copy.get()));
    ASSIGN_OR_RETURN(const FdInfo info, InfoOf(descriptor));
    if (FileKindOf(descriptor.stat, link, info.flags) != FileKind::kTerminal) continue;
    if (WhyNotDumpable(descriptor.stat, link, info)) continue;
    ASSIGN_OR_RETURN(TerminalFacts terminal, ReadTerminal(BorrowedFd(descriptor.copy)));
    if (terminal.kind == TerminalKind::kControlling) terminal.opener = holder;
    terminals.emplace(descriptor.copy.get(), terminal);
  }
  return absl::OkStatus();
}

// Copies of both ends of the pseudo-terminals that have both ends in the tree: what waits at others
// is no restore's to bring back.
std::vector<int> WholePairs(const TreeTerminals& terminals) {
  std::set<uint32_t> masters, slaves;
  for (const auto& [copy, terminal] : terminals) {
    if (terminal.kind == TerminalKind::kMaster) masters.insert(terminal.number);
    if (terminal.kind == TerminalKind::kSlave) slaves.insert(terminal.number);
  }
  std::vector<int> copies;
  for (const auto& [copy, terminal] : terminals) {
    if (masters.contains(terminal.number) && slaves.contains(terminal.number)) {
      copies.push_back(copy);
    }
  }
  return copies;
}

// Whatever keeps us from looking, nothing is lost: what waits is refused then.
void AddQueues(const BpfTerminalQueues& queues, TreeTerminals& terminals) {
  // poll(2) waits for what is on its way; an echo that it brings about is on its way then.
  for (int round = 0; round < 2; ++round) {
    for (const auto& [copy, terminal] : terminals) {
      pollfd poll_fd = {.fd = copy, .events = POLLIN, .revents = 0};
      poll(&poll_fd, 1, 0);
    }
  }
  const auto read = queues.ReadArrived(WholePairs(terminals));
  if (!read.ok()) return;
  for (auto& [copy, terminal] : terminals) {
    const auto queue = read->find(copy);
    if (queue != read->end()) terminal.queue = queue->second;
  }
}

// Of each open file of /dev/tty the lowest of its holders.
absl::Status FindOpeners(bool with_dupfd_query, TreeTerminals& terminals) {
  for (auto& [copy, terminal] : terminals) {
    for (auto& [other_copy, other] : terminals) {
      if (other_copy == copy) break;
      if (terminal.opener == 0 || other.opener == 0) continue;
      ASSIGN_OR_RETURN(const bool same,
                       ShareOpenFile(BorrowedFd(copy), BorrowedFd(other_copy), with_dupfd_query));
      if (!same) continue;
      const auto [low, high] = std::minmax(terminal.opener, other.opener);
      terminal.opener = other.opener = low == kNobody ? high : low;
    }
  }
  return absl::OkStatus();
}

std::vector<TerminalFacts> ValuesOf(const TreeTerminals& terminals) {
  std::vector<TerminalFacts> values;
  for (const auto& [copy, facts] : terminals) values.push_back(facts);
  return values;
}

// The file that a terminal was opened by. One that is hung up has none any more.
std::string PathOf(std::string link, const TerminalFacts& terminal) {
  constexpr std::string_view kDeleted = " (deleted)";
  if (terminal.hung_up && link.ends_with(kDeleted)) link.resize(link.size() - kDeleted.size());
  return link;
}

}  // namespace

absl::Status ReadTerminals(const KernelFeatures& features, const BpfTerminalQueues* queues,
                           TreeFacts& facts) {
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
  for (const FrozenFacts& task : facts.tasks) {
    if (!task.descriptors) continue;
    RETURN_IF_ERROR(ReadAll(*task.descriptors, task.process.pid, self, facts.terminals));
  }
  RETURN_IF_ERROR(ReadAll(facts.queued, kNobody, self, facts.terminals));
  if (queues != nullptr && !facts.terminals.empty()) AddQueues(*queues, facts.terminals);
  return FindOpeners(features.Has(KernelFeature::kDupfdQuery), facts.terminals);
}

TerminalBuilder::TerminalBuilder(const TreeTerminals& terminals, std::span<const TaskStat> tree,
                                 const TerminalOptions& options, FileTable& files)
    : terminals_(terminals),
      files_(files),
      scene_(ValuesOf(terminals), tree, options),
      images_(scene_) {}

FileMaker TerminalBuilder::Maker() {
  return [this](const Descriptor& descriptor, uint32_t id, uint32_t flags,
                const image::fown_entry& owner) { return Make(descriptor, id, flags, owner); };
}

absl::StatusOr<MadeFile> TerminalBuilder::Make(const Descriptor& descriptor, uint32_t id,
                                               uint32_t flags, const image::fown_entry& owner) {
  const int copy = descriptor.copy ? descriptor.copy.get() : descriptor.copy_number;
  const auto read = terminals_.find(copy);
  if (read == terminals_.end()) return absl::InternalError("a terminal was not read");
  const TerminalFacts& terminal = read->second;
  auto made = images_.Entry(terminal, {id, flags, owner});
  if (auto* why_not = std::get_if<WhyNotText>(&made)) return std::move(*why_not);
  image::file_entry entry;
  entry.set_type(image::TTY);
  entry.set_id(id);
  *entry.mutable_tty() = std::move(std::get<image::tty_file_entry>(made));
  if (scene_.IsExternal(terminal)) return entry;
  if (!descriptor.link) return absl::InternalError("the name of a terminal was not read");
  const FileName name{.path = PathOf(*descriptor.link, terminal)};
  if (!terminal.hung_up) {
    if (auto why_not = WhyNotNamed(descriptor.stat, name, 0, files_.rules())) {
      return *std::move(why_not);
    }
  }
  image::file_entry by_path;
  by_path.set_type(image::REG);
  by_path.set_id(files_.NextId());
  image::reg_file_entry& regular = *by_path.mutable_reg();
  regular.set_id(by_path.id());
  regular.set_flags(flags);
  regular.set_pos(0);
  *regular.mutable_fown() = owner;
  RETURN_IF_ERROR(files_.SetName(descriptor.stat, name, 0, regular));
  entry.mutable_tty()->set_regf_id(by_path.id());
  files_.Add(std::move(by_path));
  return entry;
}

std::vector<std::string> LostTerminals(std::span<const FrozenFacts> tasks) {
  std::vector<TaskStat> tree;
  std::set<pid_t> leaders;
  for (const FrozenFacts& task : tasks) {
    const absl::StatusOr<TaskStat> stat = ParseStat(task.process.stat_text);
    if (!stat.ok()) continue;
    tree.push_back(*stat);
    if (stat->session == stat->pid) leaders.insert(stat->pid);
  }
  std::vector<std::string> lost;
  for (const TaskStat& task : tree) {
    if (task.tty_nr == 0 || task.pid == task.session || !leaders.contains(task.session)) continue;
    lost.push_back(absl::StrCat("of process ", task.pid, ": that a terminal controls it"));
  }
  return lost;
}

}  // namespace dumpctl
