#include "dump/session/seen_names.h"

#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "dump/fd/untouched_files.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

// Asks as the images will.
class Seer {
 public:
  Seer(TreeFacts& facts, const FileRules& rules) : facts_(facts), rules_(rules) {}

  absl::Status SeeTree() {
    ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
    for (FrozenFacts& task : facts_.tasks) {
      for (const NamedFile* const file : {&task.exe, &task.cwd, &task.root}) See(*file);
      See(task.vmas);
      if (task.descriptors) RETURN_IF_ERROR(See(self, *task.descriptors));
    }
    RETURN_IF_ERROR(See(self, facts_.queued));
    return facts_.unix_sockets.FindPaths();
  }

 private:
  void See(const struct stat& stat, const FileName& name) { WhyNotNamed(stat, name, 0, rules_); }

  void See(const NamedFile& file) { See(file.stat, ReadName(file.stat, file.path, rules_)); }

  void See(const VmaList& vmas) {
    const FileFacts* last = nullptr;
    for (const Vma& vma : vmas) {
      const FileFacts* const file = vma.facts.get();
      if (file == nullptr || file == last || file->shmem || file->socket) continue;
      last = file;
      See(file->stat, ReadMappedName(file->stat, file->path, file->deleted, rules_));
    }
  }

  absl::Status See(const ProcDir& self, std::vector<Descriptor>& descriptors) {
    RETURN_IF_ERROR(ReadNamedLinks(self, descriptors));
    for (const Descriptor& descriptor : descriptors) {
      if (!descriptor.link || !descriptor.link->starts_with('/') || descriptor.named) continue;
      if (descriptor.stat.st_dev == rules_.kernel_tmpfs) continue;
      See(descriptor.stat, ReadName(descriptor.stat, *descriptor.link, rules_));
    }
    return AddUntouched(descriptors, *facts_.watched, facts_.untouched);
  }

  TreeFacts& facts_;
  const FileRules& rules_;
};

}  // namespace

std::future<absl::StatusOr<std::shared_ptr<NamesSeen>>> SeeNamesBeside(TreeFacts& facts,
                                                                       Helper& helper) {
  return helper.Do([&facts]() -> absl::StatusOr<std::shared_ptr<NamesSeen>> {
    const TraceSpan span(TraceKind::kWork, "names");
    FileRules rules = facts.file_rules;
    rules.seen = std::make_shared<NamesSeen>();
    RETURN_IF_ERROR(Seer(facts, rules).SeeTree());
    return std::move(rules.seen);
  });
}

}  // namespace dumpctl
