#include "dump/cli/report_text.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "dumpctl/printable.h"

namespace dumpctl {
namespace {

std::string_view FateText(const DumpReport& report) {
  if (report.died) return "it died meanwhile, by itself or by somebody else's hand";
  switch (report.outcome) {
    case Outcome::kKilled:
      return "it was killed";
    case Outcome::kRunning:
      return "it runs on";
    case Outcome::kStopped:
      return "it was left stopped";
  }
  return "";
}

std::string_view FateWord(const DumpReport& report) {
  if (report.died) return "died";
  switch (report.outcome) {
    case Outcome::kKilled:
      return "killed";
    case Outcome::kRunning:
      return "running";
    case Outcome::kStopped:
      return "stopped";
  }
  return "";
}

std::string WhileRunningText(const DumpReport& report) {
  std::vector<std::string> parts;
  if (report.pages_pre_copied > 0) {
    parts.push_back(absl::StrCat(report.pages_pre_copied, " beforehand, while it ran"));
  }
  if (report.pages_by_copy > 0) {
    parts.push_back(absl::StrCat(report.pages_by_copy, " from copies, while it ran on"));
  }
  return parts.empty() ? "" : absl::StrCat(" (", absl::StrJoin(parts, "; "), ")");
}

double Milliseconds(absl::Duration duration) { return absl::ToDoubleMilliseconds(duration); }

std::string StopsText(const DumpReport& report) {
  if (report.stops_beforehand == 0) return "";
  return absl::StrFormat(" (and stopped %d times before, for %.1f ms at most)",
                         report.stops_beforehand, Milliseconds(report.longest_stop_beforehand));
}

}  // namespace

std::string SizeText(uint64_t bytes) {
  constexpr double kUnit = 1024;
  const auto value = static_cast<double>(bytes);
  if (value < kUnit) return absl::StrCat(bytes, " B");
  if (value < kUnit * kUnit) return absl::StrFormat("%.1f KiB", value / kUnit);
  if (value < kUnit * kUnit * kUnit) return absl::StrFormat("%.1f MiB", value / kUnit / kUnit);
  return absl::StrFormat("%.2f GiB", value / kUnit / kUnit / kUnit);
}

std::string ReportText(const DumpReport& report) {
  std::string text = absl::StrFormat(
      "Dumped process %d (%s) to %s; %s.\n"
      "  tasks        %d (threads %d)\n"
      "  descriptors  %d\n"
      "  mappings     %d (files: %d opened, %d borrowed; close pass: %d closed, %d skipped)\n"
      "  memory       %d pages%s, %s of images\n"
      "  time         frozen %.1f ms%s, total %.1f ms\n",
      report.pid, Printable(report.comm), report.images_dir, FateText(report), report.tasks,
      report.threads, report.descriptors, report.vmas, report.files_opened, report.files_borrowed,
      report.files_closed, report.files_skipped, report.pages_written, WhileRunningText(report),
      SizeText(report.bytes_written), Milliseconds(report.frozen), StopsText(report),
      Milliseconds(report.total));
  if (report.pages_in_parent > 0) {
    absl::StrAppend(&text, "  previous     ", report.pages_in_parent,
                    " pages stand in the previous images\n");
  }
  if (report.tracked) absl::StrAppend(&text, "  tracked      what is written from now on\n");
  if (report.pages_not_repeated > 0) {
    absl::StrAppendFormat(&text, "  shared       %d pages written once, %d not repeated\n",
                          report.pages_written_once, report.pages_not_repeated);
  }
  for (const std::string& words : report.fallbacks) {
    absl::StrAppend(&text, "  fallback     ", words, "\n");
  }
  for (const std::string& words : report.not_captured) {
    absl::StrAppend(&text, "  not captured ", words, "\n");
  }
  return text;
}

std::string ReportJson(const DumpReport& report) {
  nlohmann::ordered_json json;
  json["pid"] = report.pid;
  json["comm"] = report.comm;
  json["images_dir"] = report.images_dir;
  json["outcome"] = FateWord(report);
  json["tasks"] = report.tasks;
  json["threads"] = report.threads;
  json["descriptors"] = report.descriptors;
  json["vmas"] = report.vmas;
  json["files_opened"] = report.files_opened;
  json["files_borrowed"] = report.files_borrowed;
  json["files_closed"] = report.files_closed;
  json["files_skipped"] = report.files_skipped;
  json["map_files_opens"] = report.map_files_opens;
  json["map_files_stats"] = report.map_files_stats;
  json["pages_scanned"] = report.pages_scanned;
  json["pages_written"] = report.pages_written;
  json["pages_pre_copied"] = report.pages_pre_copied;
  json["pages_by_copy"] = report.pages_by_copy;
  json["pages_in_parent"] = report.pages_in_parent;
  json["tracked"] = report.tracked;
  json["pages_written_once"] = report.pages_written_once;
  json["pages_not_repeated"] = report.pages_not_repeated;
  json["bytes_written"] = report.bytes_written;
  json["freezing_us"] = absl::ToInt64Microseconds(report.freezing);
  json["frozen_us"] = absl::ToInt64Microseconds(report.frozen);
  json["stops_beforehand"] = report.stops_beforehand;
  json["longest_stop_beforehand_us"] = absl::ToInt64Microseconds(report.longest_stop_beforehand);
  json["memory_us"] = absl::ToInt64Microseconds(report.memory_read);
  json["total_us"] = absl::ToInt64Microseconds(report.total);
  json["fallbacks"] = report.fallbacks;
  json["not_captured"] = report.not_captured;
  // A program's name may be any bytes.
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace dumpctl
