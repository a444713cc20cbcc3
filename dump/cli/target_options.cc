#include "dump/cli/target_options.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dump/cli/cgroup_flags.h"

namespace dumpctl {
namespace {

const std::map<std::string, bool> kWriteOnce = {{"auto", true}, {"off", false}};

// What is given by --external; what is wrong with it, or nothing.
std::string WhyNotExternal(const std::string& text) {
  if (ParseExternalFile(text) || ParseExternalTerminal(text)) return "";
  for (const auto& [kind, form] :
       {std::pair("file[", "file[MNT_ID:INODE]"), std::pair("tty[", "tty[RDEV:DEV]")}) {
    if (!text.starts_with(kind)) continue;
    return absl::StrCat("\"", text, "\" is not ", form, ", two hexadecimal numbers");
  }
  return absl::StrCat(
      "\"", text,
      "\" is not served by this version: it serves file[MNT_ID:INODE] and tty[RDEV:DEV]");
}

}  // namespace

void AddTargetOptions(SiftedCommand& command, DumpOptions& options) {
  // Both are served before there is a command line to be parsed: WithConfigFiles.
  command.add_option("--config").description("take options from there, too").type_name("FILE");
  command.add_flag("--no-default-config")
      .description("take none from the default configuration files");
  command.add_option("-t,--tree", options.pid, "the process")
      .required()
      .check(WhyNoPid)
      .type_name("PID");
  command.add_flag("-j,--shell-job,!--no-shell-job", options.terminals.shell_job,
                   "the session's leader is not part of the dump");
  command.add_flag("-x,--ext-unix-sk", options.external_unix_sockets,
                   "datagram sockets may be connected to others by their names");
  const SiftedOption established =
      command.add_flag("--tcp-established,!--no-tcp-established", options.inet.tcp_established,
                       "save connections of TCP");
  command
      .add_flag("--tcp-close,!--no-tcp-close", options.inet.tcp_close,
                "let a restore close connections of TCP")
      .excludes(established);
  command.add_flag("--skip-in-flight,!--no-skip-in-flight", options.inet.skip_in_flight,
                   "leave out connections that wait to be accepted, and datagrams");
  command
      .add_option_function<std::vector<std::string>>(
          "--external",
          [&options](const std::vector<std::string>& given) {
            for (const std::string& text : given) {
              if (const auto file = ParseExternalFile(text)) {
                options.external_files.push_back(*file);
              } else if (const auto terminal = ParseExternalTerminal(text)) {
                options.terminals.external.push_back(*terminal);
              }
            }
          },
          "what a restore is given: file[MNT_ID:INODE], tty[RDEV:DEV]; may be repeated")
      .check(WhyNotExternal)
      .take_all()
      .expected(1)
      .type_name("RESOURCE");
  AddCgroupOptions(command, options.cgroups);
  command.add_flag("-l,--file-locks,!--no-file-locks", options.file_locks,
                   "save locks on files, too");
  command.add_flag("--link-remap,!--no-link-remap", options.link_remap,
                   "link files whose name is deleted, for the restore");
  command
      .add_option_function<std::string>(
          "--ghost-limit",
          [&options](const std::string& size) { options.ghost_limit = SizeOf(size); },
          "save deleted files of up to so many bytes (default: 1M)")
      .check(WhyNoSize)
      .type_name("SIZE");
  command
      .add_option("--write-once", options.write_once,
                  "write pages that forked processes share once: auto (default), off")
      .transform(CLI::CheckedTransformer(kWriteOnce))
      .type_name("WHETHER");
  command.add_flag("--ghost-fiemap,!--no-ghost-fiemap")
      .description("taken, and of no effect: holes are found without it");
  command.add_flag("--unprivileged,!--no-unprivileged")
      .description("taken, and of no effect: who lacks a capability is told which");
}

void TakeTheLast(CLI::App& command) {
  for (CLI::Option* option : command.get_options()) {
    const bool one_value = option->get_items_expected_max() == 1;
    if (one_value && option->get_multi_option_policy() == CLI::MultiOptionPolicy::Throw) {
      option->take_last();
    }
  }
}

std::string WhyNoPid(const std::string& text) {
  if (text.find_first_not_of('0') == std::string::npos) {
    return absl::StrCat("\"", text, "\" is not the pid of a process");
  }
  return WhyNoNumber(text);
}

std::string WhyNoNumber(const std::string& text) {
  constexpr size_t kMostDigits = 18;
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos) {
    return absl::StrCat("\"", text, "\" is not a number");
  }
  if (text.size() > kMostDigits) return absl::StrCat(text, " is too large a number");
  return "";
}

std::string WhyNoSize(const std::string& text) {
  const bool has_unit =
      !text.empty() && std::string_view("KMG").find(text.back()) != std::string_view::npos;
  constexpr size_t kMostDigits = 9;
  if (has_unit && text.size() > kMostDigits + 1) {
    return absl::StrCat(text, " is too large a number");
  }
  return WhyNoNumber(has_unit ? text.substr(0, text.size() - 1) : text);
}

uint64_t SizeOf(const std::string& text) {
  const size_t unit = std::string_view("KMG").find(text.back());
  const uint64_t number = std::stoull(text);
  return unit == std::string_view::npos ? number : number << 10 * (unit + 1);
}

}  // namespace dumpctl
