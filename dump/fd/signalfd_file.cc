#include "dump/fd/signalfd_file.h"

#include "dumpctl/status_macros.h"
#include "proc/event_fdinfo_parser.h"

namespace dumpctl {

absl::StatusOr<image::signalfd_entry> SignalfdEntry(std::string_view info_text) {
  ASSIGN_OR_RETURN(const SignalfdInfo info, ParseSignalfdInfo(info_text));
  image::signalfd_entry entry;
  entry.set_sigmask(info.mask);
  return entry;
}

}  // namespace dumpctl
