#include "dump/session/cgroup_freezer.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

constexpr const char* kStateOfVersion1 = "freezer.state";
constexpr const char* kStateOfVersion2 = "cgroup.freeze";

std::string_view Word(bool is_version_2, bool frozen) {
  if (is_version_2) return frozen ? "1" : "0";
  return frozen ? "FROZEN" : "THAWED";
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[512];
  const ssize_t size = file ? read(file.get(), text, sizeof text) : -1;
  if (size < 0) return absl::ErrnoToStatus(errno, path);
  return std::string(text, static_cast<size_t>(size));
}

// Ourselves, or whoever watches over us, would stand still, too.
//
// Cgroups below it come and go meanwhile. At one that has gone a recursive_directory_iterator
// throws, or with an error_code is at its end, and we might be in what it has not come to.
bool HoldsUs(const std::filesystem::path& cgroup) {
  std::ifstream pids(cgroup / "cgroup.procs");
  for (pid_t pid = 0; pids >> pid;) {
    if (pid == getpid()) return true;
  }
  std::error_code error;
  std::filesystem::directory_iterator entry(cgroup, error);
  for (; entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const bool is_below = entry->is_directory(error) && !entry->is_symlink(error);
    if (is_below && HoldsUs(entry->path())) return true;
  }
  return false;
}

}  // namespace

absl::Status CgroupFreezer::Open() {
  for (const char* name : {kStateOfVersion1, kStateOfVersion2}) {
    state_.Reset(open(absl::StrCat(path_, "/", name).c_str(), O_RDWR | O_CLOEXEC));
    is_version_2_ = name == kStateOfVersion2;
    if (state_ || errno != ENOENT) break;
  }
  if (state_) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("the freezer of cgroup ", path_));
}

absl::StatusOr<bool> CgroupFreezer::IsFrozen() const {
  if (!is_version_2_) {
    ASSIGN_OR_RETURN(const std::string state, ReadFile(absl::StrCat(path_, "/", kStateOfVersion1)));
    return state.starts_with("FROZEN");
  }
  ASSIGN_OR_RETURN(const std::string events, ReadFile(absl::StrCat(path_, "/cgroup.events")));
  return events.find("frozen 1") != events.npos;
}

absl::Status CgroupFreezer::Write(bool frozen) const {
  const std::string_view word = Word(is_version_2_, frozen);
  if (pwrite(state_.get(), word.data(), word.size(), 0) >= 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno,
                             absl::StrCat(frozen ? "freezing" : "thawing", " cgroup ", path_));
}

absl::Status CgroupFreezer::Freeze(absl::Time deadline,
                                   const std::function<absl::Status()>& may_go_on) {
  if (!active()) return absl::OkStatus();
  RETURN_IF_ERROR(Open());
  const char* const own = is_version_2_ ? kStateOfVersion2 : "freezer.self_freezing";
  ASSIGN_OR_RETURN(const std::string before, ReadFile(absl::StrCat(path_, "/", own)));
  was_frozen_ = before.starts_with('1');
  ASSIGN_OR_RETURN(const bool stands, IsFrozen());
  if (stands && !was_frozen_) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cgroup ", path_, " is frozen by one above it: thaw that, or name it to --freeze-cgroup"));
  }
  RETURN_IF_ERROR(guardian_.Start(GuardianDeed, this));
  touched_ = true;
  RETURN_IF_ERROR(Write(true));
  for (;;) {
    ASSIGN_OR_RETURN(const bool frozen, IsFrozen());
    if (frozen) return absl::OkStatus();
    if (may_go_on) RETURN_IF_ERROR(may_go_on());
    if (absl::Now() >= deadline) {
      return MakeFailure(
          Failure::kTimeout, absl::StatusCode::kDeadlineExceeded,
          absl::StrCat("cgroup ", path_, " was not frozen in time; try again or raise --timeout"));
    }
    constexpr absl::Duration kPause = absl::Milliseconds(1);
    absl::SleepFor(kPause);
  }
}

absl::Status CgroupFreezer::Thaw() { return touched_ ? Write(false) : absl::OkStatus(); }

absl::Status CgroupFreezer::PutBack() {
  if (!std::exchange(touched_, false)) return absl::OkStatus();
  const absl::Status written = Write(was_frozen_);
  guardian_.Dismiss();
  return written;
}

void CgroupFreezer::GuardianDeed(void* freezer) {
  const auto* const self = static_cast<CgroupFreezer*>(freezer);
  const std::string_view word = Word(self->is_version_2_, self->was_frozen_);
  if (pwrite(self->state_.get(), word.data(), word.size(), 0) < 0) _exit(1);
}

std::optional<WhyNotText> CgroupFreezer::WhyNot(const std::string& path) {
  if (path.empty()) return {};
  CgroupFreezer freezer(path);
  const absl::Status opened = freezer.Open();
  if (!opened.ok()) {
    return WhyNotText{absl::StrCat("it has no freezer (", std::string(opened.message()), ")"),
                      "name a directory with a freezer.state or cgroup.freeze in --freeze-cgroup"};
  }
  if (!HoldsUs(path)) return {};
  return WhyNotText{"dumpctl is in it, and would be frozen with it",
                    "run dumpctl in another cgroup"};
}

}  // namespace dumpctl
