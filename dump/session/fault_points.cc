#include "dump/session/fault_points.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dumpctl/failure.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {
namespace {

void SleepWhileThere(const std::string& path) {
  UniqueFd(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)).Reset();
  const absl::Time until = absl::Now() + absl::Seconds(20);
  while (access(path.c_str(), F_OK) == 0 && absl::Now() < until) {
    absl::SleepFor(absl::Milliseconds(2));
  }
}

}  // namespace

absl::StatusOr<FaultPoints> FaultPoints::Parse(const std::string& text) {
  FaultPoints faults;
  if (text.empty()) return faults;
  const size_t equals = text.find('=');
  faults.point_ = text.substr(0, equals);
  faults.action_ = equals == std::string::npos ? "" : text.substr(equals + 1);
  if (constexpr std::string_view kWhile = "stall:"; faults.action_.starts_with(kWhile)) {
    faults.path_ = faults.action_.substr(kWhile.size());
    faults.action_ = faults.path_.empty() ? "" : "stall";
  }
  const bool known_action =
      faults.action_ == "fail" || faults.action_ == "kill" || faults.action_ == "stall";
  if (!known_action ||
      std::find(kFaultPoints.begin(), kFaultPoints.end(), faults.point_) == kFaultPoints.end()) {
    std::string points;
    for (const std::string_view point : kFaultPoints) {
      points.append(points.empty() ? "" : ", ").append(point);
    }
    return MakeFailure(Failure::kUsage, absl::StatusCode::kInvalidArgument,
                       absl::StrCat("fault \"", text, "\" is not POINT=fail, =kill, =stall or ",
                                    "=stall:PATH with POINT one of ", points));
  }
  return faults;
}

absl::Status FaultPoints::Reach(std::string_view point) const {
  if (point != point_) return absl::OkStatus();
  if (action_ == "kill") {
    raise(SIGKILL);
  } else if (action_ == "stall") {
    if (path_.empty()) {
      absl::SleepFor(absl::Seconds(1));
    } else {
      SleepWhileThere(path_);
    }
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat("made to fail at ", point_));
}

}  // namespace dumpctl
