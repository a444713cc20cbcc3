#include "proc/task_maps.h"

#include <string>
#include <string_view>

#include "dumpctl/status_macros.h"
#include "proc/smaps_parser.h"

namespace dumpctl {

absl::StatusOr<std::vector<Mapping>> ReadMapsOf(const ProcDir& task) {
  ASSIGN_OR_RETURN(const std::string text, task.Read("maps"));
  return ParseMaps(text);
}

absl::Status ReadSmapsOf(const ProcDir& task, SmapsEntries::Found take) {
  SmapsEntries entries;
  RETURN_IF_ERROR(
      task.ReadPieces("smaps", [&](std::string_view piece) { return entries.Take(piece, take); }));
  return entries.Finish();
}

}  // namespace dumpctl
