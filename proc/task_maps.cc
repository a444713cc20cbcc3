#include "proc/task_maps.h"

#include <string>

#include "dumpctl/status_macros.h"
#include "proc/smaps_parser.h"

namespace dumpctl {

absl::StatusOr<std::vector<Mapping>> ReadMapsOf(const ProcDir& task) {
  ASSIGN_OR_RETURN(const std::string text, task.Read("maps"));
  return ParseMaps(text);
}

}  // namespace dumpctl
