#ifndef DUMP_FD_TIMERFD_FILE_H_
#define DUMP_FD_TIMERFD_FILE_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "dumpctl/resource_refusal.h"
#include "dumpctl/unique_fd.h"
#include "proto/events.pb.h"

namespace dumpctl {

// Timers (timerfd_create(2)).

// Whether the fdinfo of a timer says less than there is: of a periodic one that has expired the
// kernel winds the next expiry, and counts those since, only when it is asked.
bool IsUnwound(std::string_view info_text);

// Has the kernel wind it, as read(2) and timerfd_gettime(2) do. Nobody who holds it notices: what
// is read from it later is the same.
absl::Status Wind(BorrowedFd timer);

// Why a restore could not bring it back; nothing when it can. Errors: those of the parser.
absl::StatusOr<std::optional<WhyNot>> WhyNotTimerfd(std::string_view info_text);

// Its entry, but for id, flags and owner. What is left until the next expiry counts from the moment
// when fdinfo was read.
absl::StatusOr<image::timerfd_entry> TimerfdEntry(std::string_view info_text);

}  // namespace dumpctl

#endif  // DUMP_FD_TIMERFD_FILE_H_
