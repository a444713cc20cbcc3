#include "dump/cli/cgroup_flags.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dumpctl {
namespace {

constexpr std::string_view kModes[] = {"ignore", "none", "props", "soft", "full", "strict"};

CgroupRoot RootOf(const std::string& text) {
  const size_t colon = text.find(':');
  std::string path = colon == std::string::npos ? text : text.substr(colon + 1);
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return {colon == std::string::npos ? "" : text.substr(0, colon), std::move(path)};
}

std::string WhyNoRoot(const std::string& text) {
  if (RootOf(text).path.starts_with('/')) return "";
  return fmt::format("\"{}\" is not [CONTROLLER:]/PATH", text);
}

// What a text for --cgroup-props is wrong with, or nothing.
std::string Add(const std::string& text, std::optional<CgroupProperties>& properties) {
  absl::StatusOr<CgroupProperties> added =
      AddCgroupProperties(properties ? *properties : DefaultCgroupProperties(), text);
  if (!added.ok()) return std::string(added.status().message());
  properties = *std::move(added);
  return "";
}

void AddProperties(SiftedCommand& command, std::optional<CgroupProperties>& properties) {
  command
      .add_option_function<std::vector<std::string>>(
          "--cgroup-props",
          [&properties](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              const std::string wrong = Add(text, properties);
              if (!wrong.empty()) throw CLI::ValidationError("--cgroup-props", wrong);
            }
          },
          "files of cgroups that are saved, by controller; may be repeated")
      .expected(1)
      .take_all()
      .type_name("SPEC");
  command
      .add_option_function<std::vector<std::string>>(
          "--cgroup-props-file",
          [&properties](const std::vector<std::string>& names) {
            for (const std::string& name : names) {
              std::ifstream file(name);
              const std::string text{std::istreambuf_iterator<char>(file), {}};
              const std::string wrong =
                  file ? Add(text, properties) : fmt::format("{} cannot be read", name);
              if (!wrong.empty()) throw CLI::ValidationError("--cgroup-props-file", wrong);
            }
          },
          "the same from a file")
      .expected(1)
      .take_all()
      .type_name("FILE");
}

}  // namespace

void AddCgroupOptions(SiftedCommand& command, CgroupOptions& options) {
  command
      .add_option_function<std::string>(
          "--manage-cgroups",
          [&options](const std::string& mode) { options.ignore = mode == "ignore"; },
          "how a restore treats cgroups: soft (default), none, props, full, strict; ignore: only "
          "who is where is saved")
      .expected(0, 1)
      .default_str("soft")
      .check(CLI::IsMember(std::vector<std::string>(std::begin(kModes), std::end(kModes))))
      .type_name("MODE");
  command
      .add_option_function<std::vector<std::string>>(
          "--cgroup-root",
          [&options](const std::vector<std::string>& roots) {
            for (const std::string& root : roots) options.roots.push_back(RootOf(root));
          },
          "[CONTROLLER:]/PATH: save all cgroups below it; may be repeated")
      .check(WhyNoRoot)
      .expected(1)
      .take_all()
      .type_name("ROOT");
  command
      .add_option("--cgroup-dump-controller", options.controllers,
                  "pay heed to this controller alone; may be repeated")
      .expected(1)
      .take_all()
      .type_name("NAME");
  AddProperties(command, options.properties);
  command
      .add_option("--cgroup-yard", options.yard,
                  "a directory with one of each hierarchy, by controllers")
      .type_name("DIR");
  command
      .add_option("--freeze-cgroup", options.freeze_cgroup,
                  "freeze this cgroup's directory while its processes are seized")
      .type_name("DIR");
}

}  // namespace dumpctl
