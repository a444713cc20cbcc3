#include "dump/session/trace_file.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dump/image/image_directory.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

constexpr DirectoryRole kTraceDirectory = {"trace file's directory", "--trace"};

// A string of JSON. Of bytes that are no UTF-8 it takes what there is.
std::string Quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string_view CategoryOf(TraceKind kind) {
  switch (kind) {
    case TraceKind::kFrozen:
      return "frozen";
    case TraceKind::kStopped:
      return "stopped";
    case TraceKind::kPhase:
      return "phase";
    case TraceKind::kTask:
      return "task";
    case TraceKind::kCalls:
      return "calls";
    case TraceKind::kPages:
      return "pages";
    case TraceKind::kThread:
      return "thread";
    case TraceKind::kWork:
      break;
  }
  return "work";
}

std::string NameOf(std::string_view what, pid_t pid, pid_t tid, const std::string& name) {
  return absl::StrFormat(R"({"ph":"M","name":"%s","pid":%d,"tid":%d,"args":{"name":%s}})", what,
                         pid, tid, Quoted(name));
}

double Microseconds(int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1000; }

std::string EventText(const TraceEvent& event, int64_t begin, pid_t pid, pid_t tid) {
  std::string text = absl::StrFormat(
      R"({"ph":"X","name":%s,"cat":"%s","pid":%d,"tid":%d,"ts":%.3f,"dur":%.3f,"args":{)",
      Quoted(event.name), CategoryOf(event.kind), pid, tid, Microseconds(event.begin - begin),
      Microseconds(event.duration));
  const char* separator = "";
  for (const TraceArgument& argument : event.arguments) {
    if (argument.name == nullptr) break;
    absl::StrAppend(&text, separator, Quoted(argument.name), ":", argument.value);
    separator = ",";
  }
  return text + "}}";
}

// By WriteInto; nothing where it can be.
std::string WhyNotReplaced(const std::filesystem::path& file) {
  constexpr size_t kAddedToNames = 5;  // while it is written
  if (file.filename().string().size() + kAddedToNames > NAME_MAX) return "its name is too long";
  struct stat there = {};
  const bool exists = lstat(file.c_str(), &there) == 0;
  // A link would be replaced itself.
  if (!file.has_filename() || (exists && !S_ISREG(there.st_mode))) return "that is no regular file";
  return "";
}

}  // namespace

std::string TraceText(const TraceBuffer& trace, pid_t dumper, const TraceSubject& subject,
                      const absl::Status& outcome) {
  const std::vector<TraceEvent> events = trace.Events();
  std::string text = absl::StrFormat(R"({"otherData":{"outcome":%s,"dropped":%d},"traceEvents":[)",
                                     Quoted(outcome.ok() ? "ok" : std::string(outcome.message())),
                                     trace.dropped());
  absl::StrAppend(&text, "\n", NameOf("process_name", dumper, dumper, "dumpctl"), ",\n",
                  NameOf("thread_name", dumper, dumper, "phases"), ",\n",
                  NameOf("process_name", subject.pid, subject.pid, subject.comm), ",\n",
                  NameOf("thread_name", subject.pid, subject.pid, "all threads"));
  std::set<pid_t> named = {dumper};
  for (const TraceEvent& event : events) {
    const bool of_subject = event.kind == TraceKind::kFrozen || event.kind == TraceKind::kStopped;
    const pid_t pid = of_subject ? subject.pid : dumper;
    const pid_t tid = of_subject ? subject.pid : event.tid;
    if (event.kind == TraceKind::kThread && named.insert(tid).second) {
      absl::StrAppend(&text, ",\n", NameOf("thread_name", pid, tid, event.name));
    }
    absl::StrAppend(&text, ",\n", EventText(event, events.front().begin, pid, tid));
  }
  return text + "\n]}\n";
}

absl::Status CheckTraceFile(const std::string& path) {
  const std::filesystem::path file(path);
  const std::string parent = file.parent_path().string();
  RETURN_IF_ERROR(CheckWritable(kTraceDirectory, parent.empty() ? "." : parent));
  const std::string why_not = WhyNotReplaced(file);
  if (why_not.empty()) return absl::OkStatus();
  return MakeFailure(Failure::kImagesDir, absl::StatusCode::kFailedPrecondition,
                     absl::StrCat("trace file ", path, ": ", why_not, "; name another (--trace)"));
}

absl::Status DumpTrace::Write(const std::string& path, const TraceSubject& subject,
                              const absl::Status& outcome) const {
  const std::filesystem::path file(path);
  const std::string parent = file.parent_path().string();
  return WriteInto(kTraceDirectory, parent.empty() ? "." : parent, file.filename().string(),
                   TraceText(buffer_, getpid(), subject, outcome));
}

}  // namespace dumpctl
