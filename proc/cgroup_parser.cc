#include "proc/cgroup_parser.h"

#include "dumpctl/status_macros.h"
#include "proc/text_fields.h"

namespace dumpctl {
namespace {

constexpr std::string_view kDeletedSuffix = " (deleted)";

absl::StatusOr<CgroupMembership> ParseMembership(std::string_view line) {
  std::string_view rest = line;
  const auto hierarchy = NumberOf<uint32_t>(TakeUntil(rest, ':'));
  if (!hierarchy) return MalformedText("cgroup", "hierarchy", line);
  // Controllers have no colon in their names, cgroups may.
  const size_t colon = rest.find(':');
  const bool has_controllers = colon != std::string_view::npos && colon > 0;
  if (colon == std::string_view::npos || has_controllers == (*hierarchy == 0)) {
    return MalformedText("cgroup", "controllers", line);
  }
  CgroupMembership membership{.hierarchy = *hierarchy,
                              .controllers = std::string(TakeUntil(rest, ':'))};
  if (!rest.starts_with('/')) return MalformedText("cgroup", "path", line);
  if (rest.ends_with(kDeletedSuffix)) {
    membership.deleted = true;
    rest.remove_suffix(kDeletedSuffix.size());
  }
  membership.path = std::string(rest);
  return membership;
}

}  // namespace

absl::StatusOr<std::vector<CgroupMembership>> ParseCgroup(std::string_view text) {
  std::vector<CgroupMembership> memberships;
  while (!text.empty()) {
    ASSIGN_OR_RETURN(memberships.emplace_back(), ParseMembership(TakeUntil(text, '\n')));
  }
  return memberships;
}

}  // namespace dumpctl
