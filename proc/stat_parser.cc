#include "proc/stat_parser.h"

#include <vector>

#include "dumpctl/status_macros.h"
#include "proc/text_fields.h"

namespace dumpctl {
namespace {

// Field numbers of proc_pid_stat(5); `words` begins with field 3.
constexpr size_t kFirst = 3;
constexpr size_t kExitCode = 52;

class Fields {
 public:
  Fields(std::string_view line, std::string_view rest) : line_(line), words_(Words(rest)) {}

  size_t count() const { return words_.size(); }
  std::string_view word(size_t field) const { return words_[field - kFirst]; }

  template <typename T>
  absl::Status Take(size_t field, const char* name, T& value) const {
    const std::optional<T> number = NumberOf<T>(word(field));
    if (!number) return MalformedText("stat", name, line_);
    value = *number;
    return absl::OkStatus();
  }

 private:
  std::string_view line_;
  std::vector<std::string_view> words_;
};

}  // namespace

absl::StatusOr<TaskStat> ParseStat(std::string_view text) {
  // A comm may hold anything, ") R 1" too: only the last parenthesis ends it.
  const size_t open = text.find(" (");
  const size_t close = text.rfind(") ");
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
    return MalformedText("stat", "comm", text);
  }
  TaskStat stat;
  const auto pid = NumberOf<pid_t>(text.substr(0, open));
  if (!pid) return MalformedText("stat", "pid", text);
  stat.pid = *pid;
  stat.comm = std::string(text.substr(open + 2, close - open - 2));
  const Fields fields(text, text.substr(close + 2));
  if (fields.count() + kFirst <= kExitCode) return MalformedText("stat", "exit_code", text);
  if (fields.word(3).size() != 1) return MalformedText("stat", "state", text);
  stat.state = fields.word(3)[0];
  RETURN_IF_ERROR(fields.Take(4, "ppid", stat.ppid));
  RETURN_IF_ERROR(fields.Take(5, "pgrp", stat.pgrp));
  RETURN_IF_ERROR(fields.Take(6, "session", stat.session));
  RETURN_IF_ERROR(fields.Take(7, "tty_nr", stat.tty_nr));
  RETURN_IF_ERROR(fields.Take(8, "tpgid", stat.tpgid));
  RETURN_IF_ERROR(fields.Take(9, "flags", stat.flags));
  RETURN_IF_ERROR(fields.Take(22, "starttime", stat.start_time));
  RETURN_IF_ERROR(fields.Take(26, "startcode", stat.start_code));
  RETURN_IF_ERROR(fields.Take(27, "endcode", stat.end_code));
  RETURN_IF_ERROR(fields.Take(28, "startstack", stat.start_stack));
  RETURN_IF_ERROR(fields.Take(38, "exit_signal", stat.exit_signal));
  RETURN_IF_ERROR(fields.Take(45, "start_data", stat.start_data));
  RETURN_IF_ERROR(fields.Take(46, "end_data", stat.end_data));
  RETURN_IF_ERROR(fields.Take(47, "start_brk", stat.start_brk));
  RETURN_IF_ERROR(fields.Take(48, "arg_start", stat.arg_start));
  RETURN_IF_ERROR(fields.Take(49, "arg_end", stat.arg_end));
  RETURN_IF_ERROR(fields.Take(50, "env_start", stat.env_start));
  RETURN_IF_ERROR(fields.Take(51, "env_end", stat.env_end));
  RETURN_IF_ERROR(fields.Take(52, "exit_code", stat.exit_code));
  return stat;
}

}  // namespace dumpctl
