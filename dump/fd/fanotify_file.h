#ifndef DUMP_FD_FANOTIFY_FILE_H_
#define DUMP_FD_FANOTIFY_FILE_H_

#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "dump/fd/watched_files.h"
#include "dumpctl/resource_refusal.h"
#include "proto/events.pb.h"

namespace dumpctl {

// Marks of files and mounts (fanotify(7)).

// Why a restore could not bring it back; nothing when it can. Errors: those of the parser, and of
// the system calls that find the files.
absl::StatusOr<std::optional<WhyNot>> WhyNotFanotify(std::string_view info_text,
                                                     WatchedFiles& files);

// Its entry, but for id, flags and owner. Internal when it is one that is refused.
absl::StatusOr<image::fanotify_file_entry> FanotifyEntry(std::string_view info_text,
                                                         WatchedFiles& files);

}  // namespace dumpctl

#endif  // DUMP_FD_FANOTIFY_FILE_H_
