#ifndef DUMP_FD_EVENTFD_FILE_H_
#define DUMP_FD_EVENTFD_FILE_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "dumpctl/resource_refusal.h"
#include "proto/events.pb.h"

namespace dumpctl {

// Event counters (eventfd(2)). All of one stands in its fdinfo.

// Why a restore could not bring it back; nothing when it can. Errors: those of the parser.
absl::StatusOr<std::optional<WhyNot>> WhyNotEventfd(std::string_view info_text);

// Its entry, but for id, flags and owner.
absl::StatusOr<image::eventfd_file_entry> EventfdEntry(std::string_view info_text);

}  // namespace dumpctl

#endif  // DUMP_FD_EVENTFD_FILE_H_
