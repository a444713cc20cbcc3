#include "dump/session/tree_ghosts.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dump/fd/file_locks.h"
#include "dump/fd/file_name.h"
#include "dump/fd/file_refusal.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

class Saver {
 public:
  Saver(ProcDir self, const FileRules& rules, GhostFiles& ghosts, LinkedFiles& linked)
      : self_(std::move(self)), rules_(rules), ghosts_(ghosts), linked_(linked) {}

  absl::Status SaveAmong(const std::vector<Descriptor>& descriptors) {
    for (const Descriptor& descriptor : descriptors) {
      if (!descriptor.copy) continue;  // it has a name, or one of its other descriptors a copy
      // Of what has names it is asked only where one of them may be gone.
      if (descriptor.stat.st_nlink != 0 && !rules_.link_remap) continue;
      if (descriptor.stat.st_nlink == 0 && HasLease(descriptor.info_text)) continue;
      // What has or had a name has its link told.
      if (!descriptor.link) continue;
      const std::string& link = *descriptor.link;
      const auto flags = static_cast<uint32_t>(fcntl(descriptor.copy.get(), F_GETFL));
      if (!HasName(FileKindOf(descriptor.stat, link, flags))) continue;
      RETURN_IF_ERROR(Save(BorrowedFd(descriptor.copy), descriptor.stat,
                           ReadName(descriptor.stat, link, rules_)));
    }
    return absl::OkStatus();
  }

  absl::Status SaveAmong(const VmaList& vmas) {
    const FileFacts* last = nullptr;
    for (const Vma& vma : vmas) {
      const bool is_file = vma.kind == VmaKind::kFilePrivate || vma.kind == VmaKind::kFileShared;
      if (!is_file || vma.facts == nullptr || vma.facts.get() == last || vma.fd() < 0) continue;
      last = vma.facts.get();
      RETURN_IF_ERROR(Save(BorrowedFd(vma.fd()), last->stat,
                           ReadMappedName(last->stat, last->path, last->deleted, rules_)));
    }
    return absl::OkStatus();
  }

  absl::Status SaveNamed(const ProcDir& task, const char* link, const NamedFile& file) {
    const FileName name = ReadName(file.stat, file.path, rules_);
    if (!name.deleted) return absl::OkStatus();
    ASSIGN_OR_RETURN(const UniqueFd opened, task.Open(link, O_PATH));
    return Save(BorrowedFd(opened), file.stat, name);
  }

 private:
  absl::Status Save(BorrowedFd file, const struct stat& stat, const FileName& name) {
    if (!name.deleted || WhyNotNamed(stat, name, 0, rules_)) return absl::OkStatus();
    if (name.ghost(stat)) return ghosts_.Save(file);
    if (!name.linked(stat)) return absl::OkStatus();
    UniqueFd& kept = linked_[{stat.st_dev, stat.st_ino}];
    if (!kept) kept.Reset(fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
    if (!kept) return absl::ErrnoToStatus(errno, absl::StrCat("keeping ", name.path));
    return absl::OkStatus();
  }

  ProcDir self_;
  const FileRules& rules_;
  GhostFiles& ghosts_;
  LinkedFiles& linked_;
};

}  // namespace

absl::Status SaveGhosts(const FrozenTree& tree, TreeFacts& facts, GhostFiles& ghosts) {
  ASSIGN_OR_RETURN(ProcDir self, ProcDir::OpenOwn());
  Saver saver(std::move(self), facts.file_rules, ghosts, facts.linked);
  for (size_t i = 0; i < facts.tasks.size(); ++i) {
    const ProcDir& dir = tree.tasks()[i].dir();
    const FrozenFacts& task = facts.tasks[i];
    if (task.descriptors) RETURN_IF_ERROR(saver.SaveAmong(*task.descriptors));
    RETURN_IF_ERROR(saver.SaveAmong(task.vmas));
    RETURN_IF_ERROR(saver.SaveNamed(dir, "exe", task.exe));
    RETURN_IF_ERROR(saver.SaveNamed(dir, "cwd", task.cwd));
    RETURN_IF_ERROR(saver.SaveNamed(dir, "root", task.root));
  }
  return saver.SaveAmong(facts.queued);
}

}  // namespace dumpctl
