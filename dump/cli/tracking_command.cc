#include "dump/cli/tracking_command.h"

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "dump/cli/answer.h"
#include "dump/cli/target_options.h"
#include "dump/image/dedup.h"
#include "dump/session/pre_dump.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::Status RunUntrack(pid_t pid) {
  ASSIGN_OR_RETURN(const bool ended, Untrack(pid));
  return WriteAnswer(
      absl::StrCat("Process ", pid, ended ? " is tracked no more.\n" : " is not tracked.\n"));
}

absl::Status RunDedup(const std::string& directory) {
  ASSIGN_OR_RETURN(const DedupCounts freed, DedupParents(directory));
  return WriteAnswer(absl::StrCat("Freed ", freed.pages, " pages in ", freed.directories,
                                  " directories of previous images.\n"));
}

}  // namespace

void AddUntrackCommand(CLI::App& app, CommandAction& action) {
  CLI::App* command =
      app.add_subcommand("untrack", "end the tracking of memory that a pre-dump has begun");
  auto pid = std::make_shared<pid_t>(0);
  command->add_option("-t,--tree", *pid, "the process")
      ->required()
      ->check(WhyNoPid)
      ->type_name("PID");
  command->callback([pid, &action] { action = [pid] { return RunUntrack(*pid); }; });
}

void AddDedupCommand(CLI::App& app, CommandAction& action) {
  CLI::App* command = app.add_subcommand(
      "dedup", "free in previous images what later ones that build upon them have written again");
  auto directory = std::make_shared<std::string>(".");
  command->add_option("-D,--images-dir", *directory, "the latest images (default: .)")
      ->type_name("DIR");
  command->callback(
      [directory, &action] { action = [directory] { return RunDedup(*directory); }; });
}

}  // namespace dumpctl
