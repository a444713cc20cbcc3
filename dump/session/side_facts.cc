#include "dump/session/side_facts.h"

#include <errno.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"

namespace dumpctl {
namespace {

absl::StatusOr<NamedFile> ReadNamedFile(const ProcDir& task, const char* link) {
  NamedFile file;
  ASSIGN_OR_RETURN(file.path, task.ReadLink(link));
  if (fstatat(task.fd().get(), link, &file.stat, 0) < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(task.path(), "/", link));
  }
  return file;
}

absl::StatusOr<SideFacts> ReadOf(const ProcDir& task, const NamespaceLinks& dumper) {
  SideFacts facts;
  ASSIGN_OR_RETURN(facts.exe, ReadNamedFile(task, "exe"));
  ASSIGN_OR_RETURN(facts.cwd, ReadNamedFile(task, "cwd"));
  ASSIGN_OR_RETURN(facts.root, ReadNamedFile(task, "root"));
  ASSIGN_OR_RETURN(facts.namespaces, ReadNamespaces(task));
  if (HasOwnTimeNamespace(facts.namespaces, dumper)) {
    ASSIGN_OR_RETURN(facts.timens_offsets_text, task.ReadWhole("timens_offsets"));
  }
  facts.others_of_children = OtherNamespacesOfChildren(task, facts.namespaces);
  ASSIGN_OR_RETURN(facts.texts, ReadProcessTexts(task));
  return facts;
}

absl::StatusOr<std::vector<SideFacts>> ReadAll(const FrozenTree& tree,
                                               const NamespaceLinks& dumper) {
  const TraceSpan span(TraceKind::kWork, "links and texts", {{"tasks", tree.tasks().size()}});
  std::vector<SideFacts> facts;
  facts.reserve(tree.tasks().size());
  for (const FrozenTask& task : tree.tasks()) {
    ASSIGN_OR_RETURN(SideFacts read, ReadOf(task.dir(), dumper));
    facts.push_back(std::move(read));
  }
  return facts;
}

}  // namespace

SideFactsRead ReadSideFacts(const FrozenTree& tree, const NamespaceLinks& dumper, Helper& helper) {
  const auto read = [&tree, &dumper] { return ReadAll(tree, dumper); };
  if (tree.tasks().size() >= kWorthWaking) return helper.Do(read);
  return std::async(std::launch::deferred, read);
}

}  // namespace dumpctl
