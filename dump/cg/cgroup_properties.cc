#include "dump/cg/cgroup_properties.h"

#include <algorithm>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::Status Malformed(std::string_view what, std::string_view line) {
  return absl::DataLossError(absl::StrCat("properties of cgroups: ", std::string(what),
                                          " was expected, not \"",
                                          absl::CHexEscape(std::string(line)), "\""));
}

// Takes `word` off the front of `rest`, and blanks behind it.
bool Take(std::string_view& rest, std::string_view word) {
  if (!rest.starts_with(word)) return false;
  rest.remove_prefix(word.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  return true;
}

// A word in quotes. It names a file or a directory of the cgroup file system.
std::optional<std::string> TakeQuoted(std::string_view& rest) {
  if (!rest.starts_with('"')) return {};
  const size_t end = rest.find('"', 1);
  if (end == rest.npos) return {};
  const std::string word(rest.substr(1, end - 1));
  if (word.empty() || word.find('/') != word.npos || word.find('\0') != word.npos) return {};
  Take(rest, rest.substr(0, end + 1));
  return word;
}

std::optional<std::vector<std::string>> TakeList(std::string_view rest) {
  std::vector<std::string> names;
  if (!Take(rest, "[")) return {};
  if (Take(rest, "]")) return rest.empty() ? std::optional(names) : std::nullopt;
  for (;;) {
    const auto name = TakeQuoted(rest);
    if (!name) return {};
    names.push_back(*name);
    if (Take(rest, "]")) return rest.empty() ? std::optional(names) : std::nullopt;
    if (!Take(rest, ",")) return {};
  }
}

std::string_view TakeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  return line;
}

// "value" of the line ` - "key": value`.
std::optional<std::string_view> ValueOf(std::string_view line, std::string_view key) {
  if (!Take(line, " ") || !Take(line, "- ")) return {};
  if (!Take(line, key) || !Take(line, ":")) return {};
  return line;
}

void Merge(const std::vector<std::string>& names, std::vector<std::string>& into) {
  for (const std::string& name : names) {
    if (std::find(into.begin(), into.end(), name) == into.end()) into.push_back(name);
  }
}

}  // namespace

CgroupProperties DefaultCgroupProperties() {
  CgroupProperties properties;
  properties.version_1 = {
      {"blkio", {"blkio.weight"}},
      {"cpu",
       {"cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us", "cpu.rt_period_us",
        "cpu.rt_runtime_us"}},
      {"cpuset",
       {"cpuset.cpus", "cpuset.mems", "cpuset.memory_migrate", "cpuset.cpu_exclusive",
        "cpuset.mem_exclusive", "cpuset.mem_hardwall", "cpuset.memory_spread_page",
        "cpuset.memory_spread_slab", "cpuset.sched_load_balance",
        "cpuset.sched_relax_domain_level"}},
      {"devices", {"devices.list"}},
      {"memory",
       {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.swappiness",
        "memory.soft_limit_in_bytes", "memory.move_charge_at_immigrate", "memory.oom_control",
        "memory.use_hierarchy", "memory.kmem.limit_in_bytes", "memory.kmem.tcp.limit_in_bytes"}},
      {"net_cls", {"net_cls.classid"}},
      {"net_prio", {"net_prio.ifpriomap"}},
      {"pids", {"pids.max"}},
  };
  return properties;
}

absl::StatusOr<CgroupProperties> AddCgroupProperties(CgroupProperties properties,
                                                     std::string_view text) {
  while (!text.empty()) {
    std::string_view line = TakeLine(text);
    std::string_view rest = line;
    const auto controller = TakeQuoted(rest);
    if (!controller || rest != ":") return Malformed("\"CONTROLLER\":", line);
    line = TakeLine(text);
    const auto strategy = ValueOf(line, "\"strategy\"");
    if (strategy != "\"merge\"" && strategy != "\"replace\"") {
      return Malformed(" - \"strategy\": \"merge\" or \"replace\"", line);
    }
    line = TakeLine(text);
    const auto value = ValueOf(line, "\"properties\"");
    const auto names = value ? TakeList(*value) : std::nullopt;
    if (!names) return Malformed(" - \"properties\": [\"NAME\", ...]", line);
    for (auto* const version : {&properties.version_1, &properties.version_2}) {
      std::vector<std::string>& kept = (*version)[*controller];
      if (strategy == "\"replace\"") kept.clear();
      Merge(*names, kept);
    }
  }
  return properties;
}

}  // namespace dumpctl
