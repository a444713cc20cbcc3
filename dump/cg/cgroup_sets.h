#ifndef DUMP_CG_CGROUP_SETS_H_
#define DUMP_CG_CGROUP_SETS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "proc/cgroup_parser.h"
#include "proto/inventory.pb.h"

namespace dumpctl {

// That of the dumper itself, which no image describes: who is in it stays in that of the restore.
inline constexpr uint32_t kDumpersCgroups = 1;

// Where tasks stand: their cgroups in all hierarchies together, numbered as they are met.
class CgroupSets {
 public:
  // By the names of their controllers ("cpu,cpuacct", "name=systemd", "" of version 2).
  using Set = std::map<std::string, std::string>;

  // `own`: of the dumper. Hierarchies that have none of `controllers` do not matter, unless it is
  // empty. Errors: ParseCgroup's.
  static absl::StatusOr<CgroupSets> Create(std::string_view own,
                                           std::vector<std::string> controllers);

  // The number of the set that a text of /proc/PID/cgroup tells. Errors: ParseCgroup's.
  absl::StatusOr<uint32_t> NumberOf(std::string_view text);

  // But the dumper's own.
  const std::map<uint32_t, Set>& sets() const { return sets_; }

 private:
  absl::StatusOr<Set> Parse(std::string_view text) const;

  std::vector<std::string> controllers_;
  Set own_;
  absl::flat_hash_map<std::string, uint32_t> by_text_;
  std::map<uint32_t, Set> sets_;
};

image::cg_set_entry CgroupSetEntry(uint32_t number, const CgroupSets::Set& set);

// "cpu,cpuacct" as "cpu" and "cpuacct". The one of version 2 has an empty name.
std::vector<std::string> ControllersOf(const std::string& hierarchy);

}  // namespace dumpctl

#endif  // DUMP_CG_CGROUP_SETS_H_
