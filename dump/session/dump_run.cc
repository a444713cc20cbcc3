#include "dump/session/dump_run.h"

#include <utility>

#include "dump/image/image_archive.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {

absl::Status DumpRun::Begin(std::string_view step) const {
  RETURN_IF_ERROR(faults.Reach(step));
  return options.may_go_on ? options.may_go_on() : absl::OkStatus();
}

void DumpRun::FallBack(std::string why) {
  log.Info(why);
  report.fallbacks.push_back(std::move(why));
}

DrainProgress DumpRun::MemoryProgress() const {
  return [this](uint64_t done, uint64_t total) {
    if (options.progress) options.progress(done, total);
    return options.may_go_on ? options.may_go_on() : absl::OkStatus();
  };
}

bool DumpRun::runs_early() const {
  return options.outcome == Outcome::kRunning && options.action_scripts.empty();
}

std::string DumpRun::Destination() const {
  return options.output.empty() ? options.images_dir : ArchiveName(options.output);
}

const std::string& DumpRun::WorkDirectory() const {
  return options.work_dir.empty() ? options.images_dir : options.work_dir;
}

}  // namespace dumpctl
