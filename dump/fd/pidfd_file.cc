#include "dump/fd/pidfd_file.h"

#include <fcntl.h>

#include "dumpctl/status_macros.h"
#include "proc/event_fdinfo_parser.h"

namespace dumpctl {
namespace {

constexpr uint32_t kOfThread = O_EXCL;  // PIDFD_THREAD (Linux 6.9)

constexpr WhyNot kThread = {"no restore makes a descriptor of a thread (PIDFD_THREAD)",
                            "let the program close it"};
constexpr WhyNot kOutside = {
    "its process is not part of the dump, so that a restore could not refer to it",
    "dump the tree that has both, or let the program close it"};

}  // namespace

absl::StatusOr<std::optional<WhyNot>> WhyNotPidfd(std::string_view info_text, uint32_t flags,
                                                  const std::function<bool(pid_t)>& is_in_tree) {
  if ((flags & kOfThread) != 0) return kThread;
  ASSIGN_OR_RETURN(const PidfdInfo info, ParsePidfdInfo(info_text));
  if (!info.gone && !is_in_tree(info.pid)) return kOutside;
  return std::nullopt;
}

absl::StatusOr<image::pidfd_entry> PidfdEntry(std::string_view info_text, uint32_t flags,
                                              ino_t inode) {
  ASSIGN_OR_RETURN(const PidfdInfo info, ParsePidfdInfo(info_text));
  image::pidfd_entry entry;
  entry.set_ino(static_cast<uint32_t>(inode));
  // A restore hands them to pidfd_open(2), which takes no others.
  entry.set_flags(flags & O_NONBLOCK);
  entry.set_nspid(info.gone ? -1 : info.inner_pid);
  return entry;
}

}  // namespace dumpctl
