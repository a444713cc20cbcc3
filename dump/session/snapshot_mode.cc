#include "dump/session/snapshot_mode.h"

#include "absl/strings/str_cat.h"
#include "dumpctl/failure.h"

namespace dumpctl {
namespace {

std::string WhyNotWhileRunning(const DumpOptions& options) {
  if (options.outcome != Outcome::kRunning) return "it is for --leave-running";
  if (!options.action_scripts.empty()) {
    return "action scripts (--action-script) find the process standing still";
  }
  if (!options.cgroups.freeze_cgroup.empty()) {
    return "a cgroup that --freeze-cgroup names may be frozen already, and stay so";
  }
  return "";
}

}  // namespace

std::string WhyNoPreCopy(const DumpOptions& options) {
  if (std::string why = WhyNotWhileRunning(options); !why.empty()) return why;
  if (options.track_mem || !options.prev_images_dir.empty()) {
    return "what is written is told once, and --track-mem or --prev-images-dir needs it";
  }
  if (!options.output.empty() || options.stream || options.page_server) {
    return "who reads a stream, or serves pages, takes each of them once";
  }
  if (!options.write_once) return "it needs parent images, which --write-once off rules out";
  if (options.direct) return "--direct writes from memory that stands still";
  return "";
}

absl::Status CheckSnapshotMode(const DumpOptions& options) {
  std::string why;
  const char* mode = "";
  if (options.snapshot.mode == SnapshotMode::kCow) {
    mode = "cow";
    why = WhyNotWhileRunning(options);
  } else if (options.snapshot.mode == SnapshotMode::kPreCopy) {
    mode = "pre-copy";
    why = WhyNoPreCopy(options);
  }
  if (why.empty()) return absl::OkStatus();
  return MakeFailure(Failure::kUsage, absl::StatusCode::kInvalidArgument,
                     absl::StrCat("--snapshot=", mode, ": ", why, "; leave it out, or say auto"));
}

}  // namespace dumpctl
