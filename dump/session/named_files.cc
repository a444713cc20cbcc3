#include "dump/session/named_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {

ResourceRefusals RefuseMappedFiles(pid_t pid, const VmaList& vmas, const FileRules& rules) {
  ResourceRefusals refusals;
  std::set<const FileFacts*> seen;
  for (const Vma& vma : vmas) {
    const bool is_file = vma.kind == VmaKind::kFilePrivate || vma.kind == VmaKind::kFileShared;
    if (!is_file || vma.facts == nullptr || !seen.insert(vma.facts.get()).second) continue;
    const FileFacts& facts = *vma.facts;
    std::optional<WhyNotText> why_not =
        WhyNotNamed(facts.stat, ReadMappedName(facts.stat, facts.path, facts.deleted, rules),
                    facts.mount_id, rules);
    if (!why_not) continue;
    refusals.push_back(
        {pid,
         absl::StrFormat("mapping %x-%x (%s)", vma.start().value(), vma.end().value(), facts.path),
         std::move(why_not->why), std::move(why_not->remedy)});
  }
  return refusals;
}

absl::StatusOr<ResourceRefusals> RefuseLinkedFiles(const Target& target, const FileRules& rules) {
  constexpr std::pair<const char*, std::string_view> kLinks[] = {
      {"exe", "its program"}, {"cwd", "its working directory"}, {"root", "its root directory"}};
  ResourceRefusals refusals;
  for (const auto& [link, what] : kLinks) {
    ASSIGN_OR_RETURN(const std::string path, target.dir.ReadLink(link));
    struct stat stat = {};
    if (fstatat(target.dir.fd().get(), link, &stat, 0) < 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat(target.dir.path(), "/", link));
    }
    const FileName name = ReadName(stat, path, rules);
    std::optional<WhyNotText> why_not = WhyNotNamed(stat, name, 0, rules);
    if (!why_not) continue;
    refusals.push_back({target.pid, absl::StrCat(std::string(what), " (", name.path, ")"),
                        std::move(why_not->why), std::move(why_not->remedy)});
  }
  return refusals;
}

}  // namespace dumpctl
