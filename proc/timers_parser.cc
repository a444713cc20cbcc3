#include "proc/timers_parser.h"

#include <signal.h>

#include "proc/text_fields.h"

namespace dumpctl {
namespace {

// "signal/tid.7147", "none/pid.7147", "thread/pid.7147": SIGEV_ kind, then whom.
bool TakeNotify(std::string_view value, PosixTimer& timer) {
  const std::string_view kind = TakeUntil(value, '/');
  const std::string_view whom = TakeUntil(value, '.');
  const auto number = NumberOf<int>(value);
  if (!number || (whom != "tid" && whom != "pid")) return false;
  if (kind == "signal") {
    timer.notify = SIGEV_SIGNAL;
  } else if (kind == "none") {
    timer.notify = SIGEV_NONE;
  } else if (kind == "thread") {
    timer.notify = SIGEV_THREAD;
  } else {
    return false;
  }
  if (whom == "tid") {
    timer.notify |= SIGEV_THREAD_ID;
    timer.notify_tid = *number;
  }
  return true;
}

bool TakeSignal(std::string_view value, PosixTimer& timer) {
  const auto signal = NumberOf<int>(TakeUntil(value, '/'));
  // Printed by %px: hexadecimal without a prefix.
  const auto pointer = NumberOf<uint64_t>(value, 16);
  if (!signal || !pointer) return false;
  timer.signal = *signal;
  timer.sigev_value = *pointer;
  return true;
}

bool TakeNumber(std::string_view value, int& out) {
  const auto number = NumberOf<int>(value);
  if (number) out = *number;
  return number.has_value();
}

}  // namespace

absl::StatusOr<std::vector<PosixTimer>> ParseTimers(std::string_view text) {
  std::vector<PosixTimer> timers;
  // Each timer is four lines in a fixed order.
  size_t expected = 0;
  constexpr std::string_view kKeys[] = {"ID", "signal", "notify", "ClockID"};
  while (!text.empty()) {
    const std::string_view line = TakeUntil(text, '\n');
    std::string_view value = line;
    const std::string_view key = TakeUntil(value, ':');
    value = Strip(value);
    if (key != kKeys[expected]) return MalformedText("timers", kKeys[expected], line);
    if (expected == 0) timers.emplace_back();
    PosixTimer& timer = timers.back();
    const bool taken = expected == 0   ? TakeNumber(value, timer.id)
                       : expected == 1 ? TakeSignal(value, timer)
                       : expected == 2 ? TakeNotify(value, timer)
                                       : TakeNumber(value, timer.clock_id);
    if (!taken) return MalformedText("timers", key, line);
    expected = (expected + 1) % std::size(kKeys);
  }
  if (expected != 0) {
    return absl::DataLossError(
        absl::StrCat("timers: no field ", std::string(kKeys[expected]), " of the last timer"));
  }
  return timers;
}

}  // namespace dumpctl
