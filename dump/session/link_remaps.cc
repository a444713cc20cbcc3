#include "dump/session/link_remaps.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"
#include "proc/proc_fs.h"

namespace dumpctl {

LinkRemaps::~LinkRemaps() {
  if (shared_ && !shared_->keep) Remove();
}

absl::Status LinkRemaps::Make(const std::vector<FileTable::Link>& links, const LinkedFiles& files,
                              CommitMark mark) {
  mark_ = std::move(mark);
  for (const FileTable::Link& link : links) {
    const size_t slash = link.path.rfind('/');
    const std::string directory = link.path.substr(0, slash + 1);
    UniqueFd opened(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!opened) return absl::ErrnoToStatus(errno, directory);
    links_.push_back({std::move(opened), link.path.substr(slash + 1)});
  }
  RETURN_IF_ERROR(shared_.Make());
  RETURN_IF_ERROR(guardian_.StartApart(RemoveUnlessKept, this));
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
  for (size_t i = 0; i < links.size(); ++i) {
    const auto file = files.find(links[i].file);
    if (file == files.end()) {
      return absl::InternalError(absl::StrCat("the file for ", links[i].path, " was not kept"));
    }
    const std::string from = absl::StrCat("fd/", file->second.get());
    // Taken note of first: the name is not somebody else's, or we would not have chosen it.
    shared_->made = i + 1;
    if (linkat(self.fd().get(), from.c_str(), links_[i].directory.get(), links_[i].name.c_str(),
               AT_SYMLINK_FOLLOW) < 0) {
      const int error = errno;
      shared_->made = i;
      return absl::ErrnoToStatus(error, absl::StrCat("linking ", links[i].path));
    }
  }
  return absl::OkStatus();
}

void LinkRemaps::Keep() {
  if (shared_) shared_->keep = true;
}

void LinkRemaps::RemoveUnlessKept(void* links) {
  const auto& remaps = *static_cast<const LinkRemaps*>(links);
  // Killed after its images were committed and before it could say so: the dump stands.
  if (!remaps.shared_->keep && !remaps.mark_.Stands()) remaps.Remove();
}

void LinkRemaps::Remove() const {
  for (size_t i = 0; i < shared_->made; ++i) {
    unlinkat(links_[i].directory.get(), links_[i].name.c_str(), 0);
  }
}

}  // namespace dumpctl
