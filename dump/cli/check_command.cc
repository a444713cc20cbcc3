#include "dump/cli/check_command.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dump/cli/answer.h"
#include "dump/cli/environment.h"
#include "dump/session/host_check.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "proc/merged_pages.h"

namespace dumpctl {
namespace {

const char* StateName(HostState state) {
  switch (state) {
    case HostState::kOk:
      return "ok";
    case HostState::kAbsent:
      return "absent";
    case HostState::kMissing:
      return "missing";
  }
  return "";
}

std::string Text(const std::vector<HostFinding>& findings) {
  std::string text;
  for (const HostFinding& finding : findings) {
    absl::StrAppendFormat(&text, "%-8s %s: %s", StateName(finding.state), finding.name,
                          finding.use);
    if (finding.state == HostState::kAbsent) {
      absl::StrAppend(&text, " (fallback: ", finding.remedy, ")");
    } else if (finding.state == HostState::kMissing) {
      absl::StrAppend(&text, " (remedy: ", finding.remedy, ")");
    }
    absl::StrAppend(&text, "\n");
  }
  return text;
}

std::string Json(const std::vector<HostFinding>& findings) {
  nlohmann::ordered_json checks = nlohmann::ordered_json::array();
  for (const HostFinding& finding : findings) {
    nlohmann::ordered_json check;
    check["name"] = finding.name;
    check["state"] = StateName(finding.state);
    check["use"] = finding.use;
    if (finding.state == HostState::kAbsent) check["fallback"] = finding.remedy;
    if (finding.state == HostState::kMissing) check["remedy"] = finding.remedy;
    checks.push_back(std::move(check));
  }
  nlohmann::ordered_json report;
  report["can_dump"] = HostStatus(findings).ok();
  report["checks"] = std::move(checks);
  return absl::StrCat(report.dump(), "\n");
}

// As criu(8) spells them.
constexpr char kMemDirtyTrack[] = "mem_dirty_track";

absl::Status CheckFeature(const std::string& name) {
  ASSIGN_OR_RETURN(const KernelFeatures features, KernelFeatures::Probe(ForcedKernelFeatures()));
  const bool soft_dirty =
      features.Has(KernelFeature::kSoftDirty) && PageMerging::Read().KeepsMarks();
  if (!features.Has(KernelFeature::kWriteWatch) && !soft_dirty) {
    return MakeFailure(
        Failure::kHost, absl::StatusCode::kFailedPrecondition,
        absl::StrCat(name,
                     " is not supported: it takes Linux 6.9 with CONFIG_USERFAULTFD, or "
                     "CONFIG_MEM_SOFT_DIRTY and CAP_SYS_ADMIN, but of Linux 6.2 to 6.5 one without "
                     "CONFIG_KSM"));
  }
  return WriteAnswer(absl::StrCat(name, " is supported\n"));
}

absl::Status Check(bool json) {
  ASSIGN_OR_RETURN(const HostFacts facts, ReadHostFacts());
  // As a dump does.
  ASSIGN_OR_RETURN(const KernelFeatures features, KernelFeatures::Probe(ForcedKernelFeatures()));
  const std::vector<HostFinding> findings = JudgeHost(facts, features);
  const std::string text = json ? Json(findings) : Text(findings);
  RETURN_IF_ERROR(WriteAnswer(text));
  return HostStatus(findings);
}

}  // namespace

void AddCheckCommand(CLI::App& app, CommandAction& action) {
  CLI::App* command =
      app.add_subcommand("check", "say what this host and this caller can and cannot do");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "as one JSON object");
  auto feature = std::make_shared<std::string>();
  command
      ->add_option("--feature", *feature, "say of that alone whether it is there: mem_dirty_track")
      ->check(CLI::IsMember({kMemDirtyTrack}))
      ->type_name("NAME");
  command->callback([json, feature, &action] {
    action = [json, feature] { return feature->empty() ? Check(*json) : CheckFeature(*feature); };
  });
}

}  // namespace dumpctl
