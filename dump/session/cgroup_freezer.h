#ifndef DUMP_SESSION_CGROUP_FREEZER_H_
#define DUMP_SESSION_CGROUP_FREEZER_H_

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dump/session/guardian.h"
#include "dumpctl/resource_refusal.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// The cgroup that --freeze-cgroup names: frozen while its processes are seized, so that none of
// them can start another one meanwhile, and thawed for them to stop where they were seized.
//
// At the end it is as frozen as it was before. A guardian sees to that should this process be
// killed.
class CgroupFreezer {
 public:
  // `path` may be empty: then nothing is done.
  explicit CgroupFreezer(std::string path) : path_(std::move(path)) {}
  CgroupFreezer(const CgroupFreezer&) = delete;
  CgroupFreezer& operator=(const CgroupFreezer&) = delete;
  ~CgroupFreezer() { PutBack().IgnoreError(); }

  bool active() const { return !path_.empty(); }
  // Before it was touched.
  bool was_frozen() const { return was_frozen_; }

  // Errors: kTimeout; FailedPrecondition where a cgroup above it is frozen, which we do not thaw.
  absl::Status Freeze(absl::Time deadline, const std::function<absl::Status()>& may_go_on);
  absl::Status Thaw();
  // Nothing the second time.
  absl::Status PutBack();

  // Why a cgroup cannot be frozen, before anything is: it is none that can, or we are in it.
  static std::optional<WhyNotText> WhyNot(const std::string& path);

 private:
  static void GuardianDeed(void* freezer);

  absl::Status Open();
  absl::StatusOr<bool> IsFrozen() const;
  absl::Status Write(bool frozen) const;

  std::string path_;
  bool is_version_2_ = false;
  bool was_frozen_ = false;
  bool touched_ = false;
  UniqueFd state_;  // its freezer.state or cgroup.freeze
  Guardian guardian_;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_CGROUP_FREEZER_H_
