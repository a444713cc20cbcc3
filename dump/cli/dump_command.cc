#include "dump/cli/dump_command.h"

#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dump/cli/answer.h"
#include "dump/cli/dump_log.h"
#include "dump/cli/environment.h"
#include "dump/cli/interruption.h"
#include "dump/cli/progress_bar.h"
#include "dump/cli/report_text.h"
#include "dump/cli/sifted_options.h"
#include "dump/cli/target_options.h"
#include "dump/cli/verbosity.h"
#include "dump/cli/work_path.h"
#include "dump/session/dump_session.h"
#include "dump/session/pre_dump.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

const std::map<std::string, NetworkLock> kNetworkLocks = {{"iptables", NetworkLock::kIptables},
                                                          {"nftables", NetworkLock::kNftables},
                                                          {"skip", NetworkLock::kSkip}};

const std::map<std::string, SnapshotMode> kSnapshotModes = {{"auto", SnapshotMode::kAuto},
                                                            {"cow", SnapshotMode::kCow},
                                                            {"pre-copy", SnapshotMode::kPreCopy},
                                                            {"off", SnapshotMode::kOff}};

struct DumpArguments {
  DumpOptions options;
  std::string log_file;
  int verbosity = kDefaultVerbosity;
  uint64_t timeout_seconds = 10;
  bool leave_running = false;
  bool leave_stopped = false;
  bool json = false;
  bool page_server = false;
  ServerPlace server;
  absl::StatusOr<DumpReport> (*run)(const DumpOptions&, Log&) = Dump;
};

absl::Status RunDump(DumpArguments& arguments) {
  DumpOptions& options = arguments.options;
  if (arguments.leave_running) options.outcome = Outcome::kRunning;
  if (arguments.leave_stopped) options.outcome = Outcome::kStopped;
  options.timeout = absl::Seconds(arguments.timeout_seconds);
  if (arguments.page_server) options.page_server = arguments.server;
  if (!options.output.empty()) options.images_dir.clear();
  options.kernel_features = ForcedKernelFeatures();
  options.fault = FromEnvironment("DUMPCTL_FAULT");
  const auto work_path = [&options](const std::string& file) {
    return WorkPath(options.work_dir, options.images_dir, file);
  };
  const std::string log_path = work_path(arguments.log_file);
  options.pidfile = work_path(options.pidfile);
  options.trace = work_path(options.trace);
  ASSIGN_OR_RETURN(const auto log, OpenLog(log_path, arguments.verbosity));
  absl::StatusOr<DumpReport> report;
  {
    const Interruption interruption("the process was let go on, and no images were left");
    options.may_go_on = [&interruption] { return interruption.Check(); };
    ProgressBar bar;
    options.progress = [&bar](uint64_t done, uint64_t total) { bar.Show(done, total); };
    report = arguments.run(options, *log);
  }
  if (!report.ok()) {
    // Who asked is told by main; the file is for who looks later.
    if (!log_path.empty()) log->Error(std::string(report.status().message()));
    return report.status();
  }
  const std::string text = arguments.json ? ReportJson(*report) : ReportText(*report);
  // There it would be taken for part of the dump.
  const absl::Status told = WriteAnswer(text, options.output == "-" ? stderr : stdout);
  if (told.ok()) return absl::OkStatus();
  return MakeFailure(Failure::kUnfinished, told.code(),
                     absl::StrCat("the dump and what was to follow it are done, but not reported: ",
                                  std::string(told.message())));
}

// A page server takes memory alone: where images go is another matter.
// `excluded`: other places for all of them.
void AddPageServerOptions(SiftedCommand& command, DumpArguments& arguments,
                          const std::vector<SiftedOption>& excluded) {
  const SiftedOption port =
      command.add_option("--port", arguments.server.port, "where a page server listens")
          .type_name("PORT");
  const SiftedOption address =
      command.add_option("--address", arguments.server.address, "where a page server listens")
          .type_name("ADDRESS");
  SiftedOption page_server = command
                                 .add_flag("--page-server,!--no-page-server", arguments.page_server,
                                           "send memory to a page server")
                                 .needs(port)
                                 .needs(address);
  for (const SiftedOption& each : excluded) page_server.excludes(each);
}

SiftedOption AddDirect(SiftedCommand& command, DumpOptions& options) {
  return command.add_flag("--direct,!--no-direct", options.direct,
                          "write memory past the page cache (O_DIRECT)");
}

// Those of every command that writes images.
void AddCommonOptions(SiftedCommand& command, DumpArguments& arguments) {
  DumpOptions& options = arguments.options;
  AddTargetOptions(command, options);
  command.add_option("-D,--images-dir", options.images_dir, "where the images go (default: .)")
      .type_name("DIR");
  command
      .add_option("-W,--work-dir", options.work_dir,
                  "where log and statistics go (default: the images directory)")
      .type_name("DIR");
  command.add_option("-o,--log-file", arguments.log_file, "log there, not to stderr")
      .type_name("FILE");
  command
      .add_option("--verbosity", arguments.verbosity,
                  "or -vN: log 1 errors, 2 warnings (default), 3 information, 4 all")
      .type_name("N");
  command
      .add_option("--timeout", arguments.timeout_seconds,
                  "seconds that freezing may take (default: 10)")
      .check(WhyNoNumber)
      .type_name("SECONDS");
  command
      .add_option("--prev-images-dir", options.prev_images_dir,
                  "leave to the images there, relative to -D, what is not written since")
      .type_name("DIR");
  command.add_flag("--auto-dedup,!--no-auto-dedup", options.auto_dedup,
                   "free in these what is written again");
  command.add_flag("--json", arguments.json, "tell what was done as JSON");
  command.add_option("--trace", options.trace, "write there what the time went into, for Perfetto")
      .type_name("FILE");
}

}  // namespace

void AddDumpCommand(CLI::App& app, CommandAction& action, OptionNames& names) {
  auto arguments = std::make_shared<DumpArguments>();
  CLI::App* const app_command =
      app.add_subcommand("dump", "write the state of a process into images");
  SiftedCommand command(*app_command, names);
  DumpOptions& options = arguments->options;
  AddCommonOptions(command, *arguments);
  const SiftedOption output =
      command
          .add_option("--output", options.output,
                      "write all images as one tar archive there, - for standard output")
          .check(CLI::Validator(
              [](const std::string& file) { return file.empty() ? "it takes a file, or -" : ""; },
              ""))
          .excludes(command.get_option("--images-dir"))
          .excludes(command.get_option("--prev-images-dir"))
          .excludes(command.get_option("--link-remap"))
          .type_name("FILE");
  const SiftedOption stream =
      command
          .add_flag("--stream,!--no-stream", options.stream,
                    "send all images to the image streamer that waits in the images directory")
          .excludes(output)
          .excludes(command.get_option("--prev-images-dir"))
          .excludes(command.get_option("--link-remap"));
  AddPageServerOptions(command, *arguments, {output, stream});
  command.add_flag("--sync,!--no-sync", options.sync,
                   "the dump stands only when it is on the disk (fsync)");
  AddDirect(command, options).excludes(output).excludes(stream);
  command
      .add_option("--network-lock", options.network_lock,
                  "what keeps packets of connections away: iptables (default), nftables, skip")
      .transform(CLI::CheckedTransformer(kNetworkLocks))
      .type_name("METHOD");
  const SiftedOption running =
      command.add_flag("-R,--leave-running", arguments->leave_running, "let the process go on");
  command
      .add_option(
          "--snapshot", options.snapshot.mode,
          "with -R, write memory while the process runs: auto (default), cow (from copies), "
          "pre-copy (beforehand), off")
      .transform(CLI::CheckedTransformer(kSnapshotModes))
      .type_name("MODE");
  command
      .add_option_function<std::string>(
          "--snapshot-max-extra",
          [&options](const std::string& size) { options.snapshot.max_extra = SizeOf(size); },
          "copies may come to take so much memory (default: what there is)")
      .check(WhyNoSize)
      .type_name("SIZE");
  command.add_flag("-s,--leave-stopped", arguments->leave_stopped, "leave the process stopped")
      .excludes(running);
  command.add_option("--pidfile", options.pidfile, "write the pid of the process there")
      .type_name("FILE");
  command
      .add_option("--action-script", options.action_scripts,
                  "run that before and after the dump; may be repeated")
      .take_all()
      .expected(1)
      .excludes(output)
      .excludes(stream)
      .type_name("FILE");
  command.add_flag("--track-mem,!--no-track-mem", options.track_mem,
                   "let the next dump save only what is written from now on");
  TakeTheLast(*app_command);
  app_command->callback(
      [arguments, &action] { action = [arguments] { return RunDump(*arguments); }; });
}

void AddPreDumpCommand(CLI::App& app, CommandAction& action, OptionNames& names) {
  auto arguments = std::make_shared<DumpArguments>();
  arguments->run = PreDump;
  arguments->leave_running = true;
  arguments->options.track_mem = true;
  CLI::App* const app_command = app.add_subcommand(
      "pre-dump",
      "save memory alone, and let the next dump save only what is written from then on");
  SiftedCommand command(*app_command, names);
  AddCommonOptions(command, *arguments);
  AddPageServerOptions(command, *arguments, {});
  AddDirect(command, arguments->options);
  command.add_flag("--track-mem").description("taken, and of no effect: it is always so");
  TakeTheLast(*app_command);
  app_command->callback(
      [arguments, &action] { action = [arguments] { return RunDump(*arguments); }; });
}

}  // namespace dumpctl
