#ifndef DUMP_SESSION_FAULT_POINTS_H_
#define DUMP_SESSION_FAULT_POINTS_H_

#include <array>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dumpctl {

// The steps of a dump, by name, in order. A test makes one of them go wrong and looks whether the
// target has noticed.
inline constexpr std::array<std::string_view, 22> kFaultPoints = {
    "preflight", "images", "pre-copy",  "catch-up", "freeze", "collect", "ask",   "track",
    "holdings",  "share",  "lock",      "snapshot", "memory", "ghosts",  "flags", "resume",
    "find",      "copies", "serialise", "link",     "commit", "finish"};

class FaultPoints {
 public:
  // "collect=fail" (an error is returned there), "=kill" (SIGKILL to ourselves), "=stall" (sleeps a
  // second) or "=stall:PATH" (makes that file, and sleeps until somebody removes it, for 20 seconds
  // at most); empty for none. InvalidArgument for anything else.
  static absl::StatusOr<FaultPoints> Parse(const std::string& text);

  // To be called when a step begins.
  absl::Status Reach(std::string_view point) const;

 private:
  std::string point_;
  std::string action_;
  std::string path_;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_FAULT_POINTS_H_
