#include "dump/cli/explain_command.h"

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dump/cli/answer.h"
#include "dump/cli/environment.h"
#include "dump/cli/report_text.h"
#include "dump/cli/target_options.h"
#include "dump/session/explanation.h"
#include "dump/session/preflight.h"
#include "dumpctl/failure.h"
#include "dumpctl/printable.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

constexpr uint64_t kPage = 4096;

uint64_t PagesOf(const Explanation& explanation) {
  uint64_t pages = explanation.shared_pages;
  for (const ExplainedTask& task : explanation.tasks) pages += task.pages;
  return pages - explanation.repeated_pages;
}

std::set<std::string> NeededOptions(const Explanation& explanation) {
  std::set<std::string> options;
  for (const ResourceRefusal& blocker : explanation.blockers) {
    if (std::string option = NeededOption(blocker); !option.empty()) {
      options.insert(std::move(option));
    }
  }
  return options;
}

// How deep below the root each process is.
std::map<pid_t, size_t> DepthsOf(const Explanation& explanation) {
  std::map<pid_t, size_t> depths;
  for (const ExplainedTask& task : explanation.tasks) {
    const auto parent = depths.find(task.parent);
    depths[task.pid] = parent == depths.end() ? 0 : parent->second + 1;
  }
  return depths;
}

std::string TaskText(const ExplainedTask& task, size_t depth) {
  std::string text = absl::StrFormat("%*s%d %s (%c): %d thread%s, %d mappings (%d of files), %s\n",
                                     2 * depth, "", task.pid, Printable(task.comm), task.state,
                                     task.threads, task.threads == 1 ? "" : "s", task.mappings,
                                     task.file_mappings, SizeText(task.pages * kPage));
  for (const auto& [type, count] : task.descriptors) {
    text += absl::StrFormat("%*s%d x %s\n", 2 * depth + 4, "", count, type);
  }
  return text;
}

std::string Text(const Explanation& explanation) {
  std::string text;
  const std::map<pid_t, size_t> depths = DepthsOf(explanation);
  for (const ExplainedTask& task : explanation.tasks) {
    text += TaskText(task, depths.at(task.pid));
  }
  text +=
      absl::StrFormat("A dump would write %d images, with about %s of memory (%s of it shared).\n",
                      explanation.images.size(), SizeText(PagesOf(explanation) * kPage),
                      SizeText(explanation.shared_pages * kPage));
  if (explanation.blockers.empty()) return text + "Nothing stands in its way.\n";
  text += absl::StrFormat("In its way stand%s %d:\n", explanation.blockers.size() == 1 ? "s" : "",
                          explanation.blockers.size());
  for (const ResourceRefusal& blocker : explanation.blockers) {
    absl::StrAppend(&text, "  ", RefusalText(blocker), "\n");
  }
  const std::set<std::string> options = NeededOptions(explanation);
  if (options.empty()) return text;
  text += "Options that help:";
  for (const std::string& option : options) text += " " + option;
  return text + "\n";
}

std::string Json(const Explanation& explanation) {
  nlohmann::ordered_json json;
  json["can_dump"] = explanation.blockers.empty();
  json["tasks"] = nlohmann::ordered_json::array();
  for (const ExplainedTask& task : explanation.tasks) {
    nlohmann::ordered_json each;
    each["pid"] = task.pid;
    each["parent"] = task.parent;
    each["comm"] = task.comm;
    each["state"] = std::string(1, task.state);
    each["threads"] = task.threads;
    each["descriptors"] = task.descriptors;
    each["mappings"] = task.mappings;
    each["file_mappings"] = task.file_mappings;
    each["pages"] = task.pages;
    json["tasks"].push_back(std::move(each));
  }
  json["shared_pages"] = explanation.shared_pages;
  json["repeated_pages"] = explanation.repeated_pages;
  json["bytes_of_memory"] = PagesOf(explanation) * kPage;
  json["images"] = explanation.images;
  json["blockers"] = nlohmann::ordered_json::array();
  for (const ResourceRefusal& blocker : explanation.blockers) {
    nlohmann::ordered_json each;
    each["pid"] = blocker.pid;
    each["resource"] = blocker.resource;
    each["why"] = blocker.why;
    each["remedy"] = blocker.remedy;
    if (const std::string option = NeededOption(blocker); !option.empty()) each["option"] = option;
    json["blockers"].push_back(std::move(each));
  }
  json["needed_options"] = NeededOptions(explanation);
  // Names of programs and files may be any bytes.
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

absl::Status RunExplain(DumpOptions options, bool json) {
  options.kernel_features = ForcedKernelFeatures();
  ASSIGN_OR_RETURN(const Explanation explanation, Explain(options));
  const std::string text = json ? Json(explanation) : Text(explanation);
  RETURN_IF_ERROR(WriteAnswer(text));
  if (explanation.blockers.empty()) return absl::OkStatus();
  return MakeFailure(
      Failure::kRefused, absl::StatusCode::kUnimplemented,
      absl::StrFormat("a dump would refuse process %d, for %d reason%s", options.pid,
                      explanation.blockers.size(), explanation.blockers.size() == 1 ? "" : "s"));
}

struct ExplainArguments {
  DumpOptions options;
  bool json = false;
};

}  // namespace

void AddExplainCommand(CLI::App& app, CommandAction& action, OptionNames& names) {
  auto arguments = std::make_shared<ExplainArguments>();
  CLI::App* command = app.add_subcommand(
      "explain", "say what a dump would find, write and refuse; nothing is frozen");
  SiftedCommand sifted(*command, names);
  AddTargetOptions(sifted, arguments->options);
  command->add_flag("--json", arguments->json, "as one JSON object");
  TakeTheLast(*command);
  command->callback([arguments, &action] {
    action = [arguments] { return RunExplain(arguments->options, arguments->json); };
  });
}

}  // namespace dumpctl
