#include "dump/cli/target_options.h"

#include <fmt/format.h>

namespace dumpctl {
namespace {

std::string WhyNoPid(const std::string& text) {
  if (text.find_first_not_of('0') == std::string::npos) {
    return fmt::format("\"{}\" is not the pid of a process", text);
  }
  return WhyNoNumber(text);
}

}  // namespace

void AddTargetOptions(CLI::App& command, DumpOptions& options) {
  command.add_option("-t,--tree", options.pid, "the process")
      ->required()
      ->check(WhyNoPid)
      ->type_name("PID");
  command.add_flag("-j,--shell-job,!--no-shell-job", options.shell_job,
                   "the session's leader is not part of the dump");
  command.add_flag("-x,--ext-unix-sk", options.external_unix_sockets,
                   "datagram sockets may be connected to others by their names");
  CLI::Option* established =
      command.add_flag("--tcp-established,!--no-tcp-established", options.inet.tcp_established,
                       "save connections of TCP");
  command
      .add_flag("--tcp-close,!--no-tcp-close", options.inet.tcp_close,
                "let a restore close connections of TCP")
      ->excludes(established);
  command.add_flag("--skip-in-flight,!--no-skip-in-flight", options.inet.skip_in_flight,
                   "leave out connections that wait to be accepted, and datagrams");
}

std::string WhyNoNumber(const std::string& text) {
  constexpr size_t kMostDigits = 18;
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos) {
    return fmt::format("\"{}\" is not a number", text);
  }
  if (text.size() > kMostDigits) return fmt::format("{} is too large a number", text);
  return "";
}

}  // namespace dumpctl
