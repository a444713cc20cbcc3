#include "dump/session/fault_points.h"

#include <signal.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dumpctl/failure.h"

namespace dumpctl {

absl::StatusOr<FaultPoints> FaultPoints::Parse(const std::string& text) {
  FaultPoints faults;
  if (text.empty()) return faults;
  const size_t equals = text.find('=');
  faults.point_ = text.substr(0, equals);
  faults.action_ = equals == std::string::npos ? "" : text.substr(equals + 1);
  const bool known_action =
      faults.action_ == "fail" || faults.action_ == "kill" || faults.action_ == "stall";
  if (!known_action ||
      std::find(kFaultPoints.begin(), kFaultPoints.end(), faults.point_) == kFaultPoints.end()) {
    std::string points;
    for (const std::string_view point : kFaultPoints) {
      points.append(points.empty() ? "" : ", ").append(point);
    }
    return MakeFailure(Failure::kUsage, absl::StatusCode::kInvalidArgument,
                       absl::StrCat("fault \"", text, "\" is not POINT=fail, =kill or =stall with ",
                                    "POINT one of ", points));
  }
  return faults;
}

absl::Status FaultPoints::Reach(std::string_view point) const {
  if (point != point_) return absl::OkStatus();
  if (action_ == "kill") {
    raise(SIGKILL);
  } else if (action_ == "stall") {
    absl::SleepFor(absl::Seconds(1));
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat("made to fail at ", point_));
}

}  // namespace dumpctl
