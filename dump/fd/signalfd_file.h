#ifndef DUMP_FD_SIGNALFD_FILE_H_
#define DUMP_FD_SIGNALFD_FILE_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "proto/events.pb.h"

namespace dumpctl {

// The entry of a signalfd(2), but for id, flags and owner. All of it stands in its fdinfo: the
// signals that it gives out wait in queues of the task. Errors: those of the parser.
absl::StatusOr<image::signalfd_entry> SignalfdEntry(std::string_view info_text);

}  // namespace dumpctl

#endif  // DUMP_FD_SIGNALFD_FILE_H_
