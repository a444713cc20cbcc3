#ifndef DUMP_IMAGE_RUN_MARK_H_
#define DUMP_IMAGE_RUN_MARK_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// Of a dump, by its run id; never 0. Only dumpctl's own two ends use it: kClose says as its address
// which dump this is, and the server keeps that beside the pages; kAskParent says which one the
// parent images are to be of. Without it pages of another dump, which has the same task, would be
// taken for them.
uint64_t RunMark(std::string_view run_id);

// The server's file: a line with the mark, and one for each pagemap that the dump has sent. It may
// outlive these, and stand beside another dump's; so each line has its pagemap's size and time of
// change besides its name. These a copy has, too, if it keeps times.
inline constexpr char kRunMarkFile[] = "page-server.run";
std::string RunMarkLine(uint64_t mark);
// NotFound where the directory has no such pagemap.
absl::StatusOr<std::string> PagemapLine(BorrowedFd directory, const std::string& name);
// Whether a file with these bytes tells of a dump that it has sent this pagemap.
bool HasSent(std::string_view file, uint64_t mark, std::string_view pagemap_line);

}  // namespace dumpctl

#endif  // DUMP_IMAGE_RUN_MARK_H_
