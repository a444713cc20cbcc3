#include "proc/event_fdinfo_parser.h"

#include "dumpctl/status_macros.h"
#include "proc/text_fields.h"

namespace dumpctl {
namespace {

// The lines of a text, by their keys. They are looked for from where the last one was found on, for
// that is where those asked for in their order are.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text), rest_(text) {}

  // "key:value"; nothing without one.
  std::optional<std::string_view> Find(std::string_view key) {
    for (const std::string_view part : {rest_, text_}) {
      for (std::string_view rest = part; !rest.empty();) {
        const std::string_view line = TakeUntil(rest, '\n');
        if (!ValueOf(line, key)) continue;
        rest_ = rest;
        return line;
      }
    }
    return std::nullopt;
  }

  std::string_view text() const { return text_; }

 private:
  std::string_view text_;
  std::string_view rest_;
};

template <typename T>
absl::StatusOr<T> NumberAt(Lines& lines, std::string_view key, int base = 10) {
  const auto line = lines.Find(key);
  const auto number = line ? NumberOf<T>(*ValueOf(*line, key), base) : std::nullopt;
  if (!number) return MalformedText("fdinfo", key, line.value_or(lines.text()));
  return *number;
}

// "it_value: (98, 908709966)".
absl::StatusOr<absl::Duration> SecondsAt(Lines& lines, std::string_view key) {
  const auto line = lines.Find(key);
  if (!line) return MalformedText("fdinfo", key, lines.text());
  std::string_view pair = *ValueOf(*line, key);
  if (!pair.starts_with('(') || !pair.ends_with(')')) return MalformedText("fdinfo", key, *line);
  pair = pair.substr(1, pair.size() - 2);
  const auto seconds = NumberOf<int64_t>(TakeUntil(pair, ','));
  const auto nanoseconds = NumberOf<uint32_t>(Strip(pair));
  if (!seconds || *seconds < 0 || !nanoseconds || *nanoseconds >= 1'000'000'000) {
    return MalformedText("fdinfo", key, *line);
  }
  return absl::Seconds(*seconds) + absl::Nanoseconds(*nanoseconds);
}

// Takes "key:number" off the front of `line`, with blanks on either side of the number.
template <typename T>
std::optional<T> TakeField(std::string_view& line, std::string_view key, int base) {
  line = Strip(line);
  if (!line.starts_with(key)) return std::nullopt;
  line = Strip(line.substr(key.size()));
  return NumberOf<T>(TakeUntil(line, ' '), base);
}

}  // namespace

absl::StatusOr<EventfdInfo> ParseEventfdInfo(std::string_view text) {
  constexpr std::string_view kSemaphore = "eventfd-semaphore";
  Lines lines(text);
  EventfdInfo info;
  ASSIGN_OR_RETURN(info.count, NumberAt<uint64_t>(lines, "eventfd-count", 16));
  if (const auto line = lines.Find(kSemaphore)) {
    const std::string_view value = *ValueOf(*line, kSemaphore);
    if (value != "0" && value != "1") return MalformedText("fdinfo", kSemaphore, *line);
    info.semaphore = value == "1";
  }
  return info;
}

absl::StatusOr<TimerfdInfo> ParseTimerfdInfo(std::string_view text) {
  Lines lines(text);
  TimerfdInfo info;
  ASSIGN_OR_RETURN(info.clock_id, NumberAt<int>(lines, "clockid"));
  ASSIGN_OR_RETURN(info.ticks, NumberAt<uint64_t>(lines, "ticks"));
  ASSIGN_OR_RETURN(info.settime_flags, NumberAt<uint32_t>(lines, "settime flags", 8));
  ASSIGN_OR_RETURN(info.value, SecondsAt(lines, "it_value"));
  ASSIGN_OR_RETURN(info.interval, SecondsAt(lines, "it_interval"));
  return info;
}

absl::StatusOr<SignalfdInfo> ParseSignalfdInfo(std::string_view text) {
  Lines lines(text);
  SignalfdInfo info;
  ASSIGN_OR_RETURN(info.mask, NumberAt<uint64_t>(lines, "sigmask", 16));
  return info;
}

absl::StatusOr<PidfdInfo> ParsePidfdInfo(std::string_view text) {
  constexpr std::string_view kInner = "NSpid";  // from the reader's namespace inwards
  Lines lines(text);
  PidfdInfo info;
  ASSIGN_OR_RETURN(info.pid, NumberAt<pid_t>(lines, "Pid"));
  info.gone = info.pid == -1;
  info.inner_pid = info.pid;
  if (const auto line = lines.Find(kInner)) {
    const std::vector<std::string_view> pids = Words(*ValueOf(*line, kInner));
    const auto pid = pids.empty() ? std::nullopt : NumberOf<pid_t>(pids.back());
    if (!pid) return MalformedText("fdinfo", kInner, *line);
    info.inner_pid = *pid;
  }
  return info;
}

absl::StatusOr<std::vector<EpollWatch>> ParseEpollInfo(std::string_view text) {
  std::vector<EpollWatch> watches;
  while (!text.empty()) {
    const std::string_view line = TakeUntil(text, '\n');
    if (!line.starts_with("tfd:")) continue;
    std::string_view rest = line;
    const auto number = TakeField<int>(rest, "tfd:", 10);
    const auto events = TakeField<uint32_t>(rest, "events:", 16);
    const auto data = TakeField<uint64_t>(rest, "data:", 16);
    const auto pos = TakeField<int64_t>(rest, "pos:", 10);
    const auto inode = TakeField<uint64_t>(rest, "ino:", 16);
    const auto device = TakeField<uint32_t>(rest, "sdev:", 16);
    if (!number || !events || !data || !pos || !inode || !device || !rest.empty()) {
      return MalformedText("fdinfo", "tfd", line);
    }
    watches.push_back({*number, *events, *data, static_cast<uint64_t>(*pos), *inode, *device});
  }
  return watches;
}

}  // namespace dumpctl
