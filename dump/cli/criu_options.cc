#include "dump/cli/criu_options.h"

#include "absl/strings/str_cat.h"

namespace dumpctl {
namespace {

using enum TakesValue;
constexpr bool kNegatable = true;

constexpr CriuOption kUnserved[] = {
    {"all", 0, kNo},
    {"close", 0, kYes},
    {"cpu-cap", 0, kOptional},
    {"daemon", 0, kNo},  // its -d is --restore-detached's
    {"deprecated", 0, kNo, kNegatable},
    {"display-stats", 0, kNo, kNegatable},
    {"empty-ns", 0, kYes},
    {"enable-external-masters", 0, kNo},
    {"enable-external-sharing", 0, kNo},
    {"enable-fs", 0, kYes},
    {"evasive-devices", 0, kNo, kNegatable},
    {"exec-cmd", 0, kNo},
    {"experimental", 0, kNo, kNegatable},
    {"ext-mount-map", 'M', kYes},
    {"extra", 0, kNo, kNegatable},
    {"feature", 0, kYes},
    {"file-validation", 0, kYes},
    {"force-irmap", 0, kNo, kNegatable},
    {"inherit-fd", 0, kYes},
    {"irmap-scan-path", 0, kYes},
    {"join-ns", 'J', kYes},
    {"lazy-pages", 0, kNo, false, "leave it off: all memory is then in the images"},
    {"libdir", 'L', kYes},
    {"log-pid", 0, kNo, kNegatable},
    {"lsm-mount-context", 0, kYes},
    {"lsm-profile", 0, kYes},
    {"mntns-compat-mode", 0, kNo, kNegatable},
    {"ms", 0, kNo},
    {"pre-dump-mode", 0, kYes},
    {"ps-socket", 0, kYes},
    {"restore-detached", 'd', kNo, kNegatable},
    {"restore-sibling", 'S', kNo, kNegatable},
    {"root", 'r', kYes},
    {"skip-file-rwx-check", 0, kNo, kNegatable},
    {"skip-mnt", 0, kYes},
    {"status-fd", 0, kYes},
    {"tls", 0, kNo, kNegatable},
    {"tls-cacert", 0, kYes},
    {"tls-cacrl", 0, kYes},
    {"tls-cert", 0, kYes},
    {"tls-key", 0, kYes},
    {"tls-no-cn-verify", 0, kNo},
    {"veth-pair", 0, kYes},
    {"weak-sysctls", 0, kNo, kNegatable},
};

std::string Refusal(const std::string& name) {
  return absl::StrCat(name, " is not served by this version");
}

std::string NameOf(const CriuOption& option) {
  const std::string long_name = absl::StrCat("--", std::string(option.long_name));
  if (option.short_name == 0) return long_name;
  return absl::StrCat("-", std::string(1, option.short_name), ", ", long_name);
}

// Whatever is given with it, the option is refused for its name: so a missing value is no error.
void Refuse(CLI::App& command, const std::string& names, std::string refusal) {
  command
      .add_option_function<std::vector<std::string>>(
          names, [refusal = std::move(refusal)](
                     const std::vector<std::string>&) { throw CLI::ValidationError(refusal); })
      ->expected(0, 1)
      ->group("");
}

}  // namespace

std::span<const CriuOption> UnservedCriuOptions() { return kUnserved; }

std::string RefusalOf(const CriuOption& option) {
  const std::string refusal = Refusal(NameOf(option));
  return option.remedy.empty() ? refusal : absl::StrCat(refusal, ": ", std::string(option.remedy));
}

void RefuseUnservedCriuOptions(CLI::App& command) {
  for (const CriuOption& option : kUnserved) {
    const std::string long_name = absl::StrCat("--", std::string(option.long_name));
    if (command.get_option_no_throw(long_name) != nullptr) continue;  // by this one it is
    std::string names = long_name;
    if (option.short_name != 0) {
      absl::StrAppend(&names, ",-", std::string(1, option.short_name));
    }
    Refuse(command, names, RefusalOf(option));
    if (!option.negatable) continue;
    const std::string negated = absl::StrCat("--no-", std::string(option.long_name));
    Refuse(command, negated, Refusal(negated));
  }
}

}  // namespace dumpctl
