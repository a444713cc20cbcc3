#include "dump/cg/cgroup_sets.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_split.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {

absl::StatusOr<CgroupSets> CgroupSets::Create(std::string_view own,
                                              std::vector<std::string> controllers) {
  CgroupSets sets;
  sets.controllers_ = std::move(controllers);
  ASSIGN_OR_RETURN(sets.own_, sets.Parse(own));
  sets.by_text_.emplace(std::string(own), kDumpersCgroups);
  return sets;
}

absl::StatusOr<uint32_t> CgroupSets::NumberOf(std::string_view text) {
  const auto known = by_text_.find(std::string(text));
  if (known != by_text_.end()) return known->second;
  ASSIGN_OR_RETURN(Set set, Parse(text));
  uint32_t number = kDumpersCgroups;
  if (set != own_) {
    const auto same = std::find_if(sets_.begin(), sets_.end(),
                                   [&set](const auto& other) { return other.second == set; });
    number = same != sets_.end() ? same->first
                                 : kDumpersCgroups + 1 + static_cast<uint32_t>(sets_.size());
    sets_.emplace(number, std::move(set));
  }
  by_text_.emplace(std::string(text), number);
  return number;
}

absl::StatusOr<CgroupSets::Set> CgroupSets::Parse(std::string_view text) const {
  ASSIGN_OR_RETURN(const std::vector<CgroupMembership> memberships, ParseCgroup(text));
  Set set;
  for (const CgroupMembership& membership : memberships) {
    const std::vector<std::string> of = ControllersOf(membership.controllers);
    const bool matters =
        controllers_.empty() || std::find_first_of(of.begin(), of.end(), controllers_.begin(),
                                                   controllers_.end()) != of.end();
    if (matters) set.emplace(membership.controllers, membership.path);
  }
  return set;
}

image::cg_set_entry CgroupSetEntry(uint32_t number, const CgroupSets::Set& set) {
  image::cg_set_entry entry;
  entry.set_id(number);
  for (const auto& [controllers, path] : set) {
    image::cg_member_entry* member = entry.add_ctls();
    member->set_name(controllers);
    member->set_path(path);
  }
  return entry;
}

std::vector<std::string> ControllersOf(const std::string& hierarchy) {
  return absl::StrSplit(hierarchy, ',');
}

}  // namespace dumpctl
