#include "dump/fd/timerfd_file.h"

#include <errno.h>
#include <sys/timerfd.h>

#include "dumpctl/status_macros.h"
#include "proc/event_fdinfo_parser.h"
#include "proc/text_fields.h"

namespace dumpctl {
namespace {

constexpr WhyNot kAlarm = {
    "no restore sets a timer that wakes the machine (CLOCK_REALTIME_ALARM, "
    "CLOCK_BOOTTIME_ALARM)",
    "let the program use CLOCK_REALTIME or CLOCK_BOOTTIME"};

bool IsUnwound(const TimerfdInfo& info) {
  return info.ticks > 0 && info.value == absl::ZeroDuration() &&
         info.interval > absl::ZeroDuration();
}

}  // namespace

bool IsUnwound(std::string_view info_text) {
  if (!HasLine(info_text, "clockid:")) return false;
  const absl::StatusOr<TimerfdInfo> info = ParseTimerfdInfo(info_text);
  return info.ok() && IsUnwound(*info);
}

absl::Status Wind(BorrowedFd timer) {
  itimerspec unused;
  if (timerfd_gettime(timer.get(), &unused) < 0) {
    return absl::ErrnoToStatus(errno, "timerfd_gettime");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<WhyNot>> WhyNotTimerfd(std::string_view info_text) {
  ASSIGN_OR_RETURN(const TimerfdInfo info, ParseTimerfdInfo(info_text));
  switch (info.clock_id) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
      return std::nullopt;
    default:
      return kAlarm;
  }
}

absl::StatusOr<image::timerfd_entry> TimerfdEntry(std::string_view info_text) {
  ASSIGN_OR_RETURN(TimerfdInfo info, ParseTimerfdInfo(info_text));
  if (IsUnwound(info)) {
    // It expired once more since it was wound, and is as good as expiring again at once.
    info.value = absl::Nanoseconds(1);
    --info.ticks;
  }
  image::timerfd_entry entry;
  entry.set_clockid(static_cast<uint32_t>(info.clock_id));
  entry.set_ticks(info.ticks);
  entry.set_settime_flags(info.settime_flags);
  const timespec value = absl::ToTimespec(info.value);
  entry.set_vsec(static_cast<uint64_t>(value.tv_sec));
  entry.set_vnsec(static_cast<uint64_t>(value.tv_nsec));
  const timespec interval = absl::ToTimespec(info.interval);
  entry.set_isec(static_cast<uint64_t>(interval.tv_sec));
  entry.set_insec(static_cast<uint64_t>(interval.tv_nsec));
  return entry;
}

}  // namespace dumpctl
