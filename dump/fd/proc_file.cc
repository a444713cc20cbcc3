#include "dump/fd/proc_file.h"

#include <charconv>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"
#include "proc/proc_fs.h"
#include "proc/status_parser.h"

namespace dumpctl {
namespace {

// The number that `text` begins with, up to a slash or its end; none when it begins with none.
std::optional<pid_t> TakePid(std::string_view& text) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (error != std::errc() || pid <= 0) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  if (!text.empty() && text.front() != '/') return std::nullopt;
  if (!text.empty()) text.remove_prefix(1);
  return pid;
}

// Of a thread, as /proc/PID/task/TID.
std::optional<pid_t> ThreadOf(const ProcFile& file) {
  constexpr std::string_view kTask = "task/";
  std::string_view rest = file.rest;
  if (!rest.starts_with(kTask)) return std::nullopt;
  rest.remove_prefix(kTask.size());
  return TakePid(rest);
}

// Where procfs is, which does not change while we run.
struct Root {
  dev_t device = 0;
  std::string path;  // with a slash behind
};

Root FindRoot() {
  const absl::StatusOr<ProcDir> root = ProcDir::OpenRoot();
  struct stat stat = {};
  if (!root.ok() || fstat(root->fd().get(), &stat) < 0) return {};
  return {stat.st_dev, root->path() + "/"};
}

}  // namespace

std::optional<ProcFile> ProcFileAt(const struct stat& stat, const std::string& path) {
  static const Root root = FindRoot();
  std::string_view rest = path;
  if (stat.st_dev != root.device || !rest.starts_with(root.path)) return std::nullopt;
  rest.remove_prefix(root.path.size());
  const std::optional<pid_t> pid = TakePid(rest);
  if (!pid) return std::nullopt;
  const bool dead = absl::IsNotFound(ProcDir::OpenTask(*pid).status());
  return ProcFile{*pid, std::string(rest), dead};
}

std::optional<WhyNotText> WhyNotProcFile(const ProcFile& file) {
  const std::string close = "let the program close it";
  const std::optional<pid_t> thread = ThreadOf(file);
  if (thread && *thread != file.pid) {
    return WhyNotText{absl::StrCat("it tells of thread ", *thread,
                                   ", and a restore makes threads after it has opened all files"),
                      close};
  }
  if (file.dead) {
    if (file.rest.find('/') == std::string::npos || thread) return std::nullopt;
    return WhyNotText{absl::StrCat("it tells of what process ", file.pid, " had, which is dead"),
                      close};
  }
  if (const absl::StatusOr<bool> later = IsLaterThread(file.pid); later.ok() && *later) {
    return WhyNotText{absl::StrCat("it tells of thread ", file.pid,
                                   ", and a restore makes threads after it has opened all files"),
                      close};
  }
  for (const std::string_view list : {"fd/", "fdinfo/", "map_files/"}) {
    if (!file.rest.starts_with(list)) continue;
    return WhyNotText{
        "it tells of one descriptor or mapping, which a restore may not have made yet", close};
  }
  return std::nullopt;
}

absl::StatusOr<bool> IsLaterThread(pid_t tid) {
  ASSIGN_OR_RETURN(const ProcDir dir, ProcDir::OpenTask(tid));
  ASSIGN_OR_RETURN(const std::string text, dir.ReadWhole("status"));
  ASSIGN_OR_RETURN(const TaskStatus status, ParseStatus(text));
  return status.tgid != tid;
}

}  // namespace dumpctl
