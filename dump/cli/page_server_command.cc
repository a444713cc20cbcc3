#include "dump/cli/page_server_command.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "dump/cli/answer.h"
#include "dump/cli/background.h"
#include "dump/cli/dump_log.h"
#include "dump/cli/interruption.h"
#include "dump/cli/report_text.h"
#include "dump/cli/target_options.h"
#include "dump/cli/verbosity.h"
#include "dump/cli/work_path.h"
#include "dump/image/dedup.h"
#include "dump/image/image_directory.h"
#include "dump/image/miss_peer.h"
#include "dump/image/page_receiver.h"
#include "dump/image/parent_images.h"
#include "dump/image/server_address.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {
namespace {

constexpr char kDaemonLog[] = "page-server.log";

struct PageServerOptions {
  std::string directory = ".";
  std::string work_dir;
  std::string log_file;
  int verbosity = kDefaultVerbosity;
  std::string pidfile;
  std::string address = "0.0.0.0";
  uint16_t port = 0;  // 0: any
  int status_fd = -1;
  bool daemon = false;
  bool sync = false;
  std::string prev_images_dir;
  bool auto_dedup = false;

  std::string InWorkDirectory(const std::string& file) const {
    return WorkPath(work_dir, directory, file);
  }
};

absl::Status CannotListen(int error, const PageServerOptions& options) {
  return MakeFailure(Failure::kHost, absl::ErrnoToStatusCode(error),
                     absl::StrCat("listening at ", options.address, " port ", options.port, ": ",
                                  std::strerror(error), "; choose another --address or --port"));
}

absl::StatusOr<UniqueFd> Listen(const PageServerOptions& options) {
  ASSIGN_OR_RETURN(const SocketAddress address,
                   SocketAddress::Parse(options.address, options.port));
  UniqueFd listener(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int one = 1;
  if (!listener || setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
      bind(listener.get(), address.get(), address.size()) < 0 || listen(listener.get(), 1) < 0) {
    return CannotListen(errno, options);
  }
  return listener;
}

// A zero byte, and the end: whoever has started it can send now.
absl::Status WriteStatus(int status_fd) {
  if (status_fd < 0) return absl::OkStatus();
  const UniqueFd told(status_fd);
  if (write(told.get(), "", 1) == 1) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("--status-fd ", status_fd));
}

absl::StatusOr<UniqueFd> Accept(const UniqueFd& listener, const PageServerOptions& options,
                                const Interruption& interruption) {
  constexpr int kMillisecondsBetweenLooks = 100;
  for (;;) {
    RETURN_IF_ERROR(interruption.Check());
    pollfd look = {.fd = listener.get(), .events = POLLIN, .revents = 0};
    if (poll(&look, 1, kMillisecondsBetweenLooks) == 0) continue;
    UniqueFd peer(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (peer) return peer;
    if (errno != EINTR && errno != EAGAIN && errno != ECONNABORTED)
      return CannotListen(errno, options);
  }
}

// From here on a dump can send.
absl::Status TellReady(const PageServerOptions& options, uint16_t port, Log& log) {
  const std::string words = absl::StrCat("Listening at ", options.address, " port ", port);
  log.Info(words);
  // Who has chosen none wants to know.
  if (options.port == 0) RETURN_IF_ERROR(WriteAnswer(absl::StrCat(words, ".\n")));
  if (!options.pidfile.empty()) {
    RETURN_IF_ERROR(WritePidfile(options.InWorkDirectory(options.pidfile), getpid()));
  }
  return WriteStatus(options.status_fd);
}

// What was received stands, whatever becomes of what it builds upon.
void FreeSuperseded(const std::string& directory, Log& log) {
  const absl::StatusOr<DedupCounts> freed = DedupParents(directory);
  if (!freed.ok()) {
    log.Warn(absl::StrCat("Not all superseded pages are freed: ", freed.status().message()));
  } else {
    log.Info(absl::StrCat("Freed ", freed->pages, " superseded pages in previous images"));
  }
}

// What has come from one dump, and what it builds upon.
struct Served {
  ReceivedPages received;
  bool has_parent = false;
};

absl::StatusOr<Served> Receive(const PageServerOptions& options, Background* background, Log& log) {
  const Interruption interruption("nothing was kept");
  ASSIGN_OR_RETURN(ImageDirectory directory, ImageDirectory::Open(options.directory));
  RETURN_IF_ERROR(directory.ExpectNoImages());
  std::optional<ParentImages> parent;
  if (!options.prev_images_dir.empty()) {
    ASSIGN_OR_RETURN(parent, ParentImages::OpenPages(options.directory, options.prev_images_dir));
    RETURN_IF_ERROR(directory.LinkParent(parent->path()));
  }
  ASSIGN_OR_RETURN(UniqueFd listener, Listen(options));
  ASSIGN_OR_RETURN(const SocketAddress bound, SocketAddress::Of(BorrowedFd(listener)));
  RETURN_IF_ERROR(TellReady(options, bound.port(), log));
  if (background != nullptr) RETURN_IF_ERROR(background->Enter());
  ASSIGN_OR_RETURN(const UniqueFd peer, Accept(listener, options, interruption));
  // One dump is all that it serves: another one shall be refused, not wait.
  listener.Reset();
  RETURN_IF_ERROR(MissPeer(BorrowedFd(peer)));
  ASSIGN_OR_RETURN(const ReceivedPages received,
                   ReceivePages(BorrowedFd(peer), directory, parent ? &*parent : nullptr,
                                options.sync, [&interruption] { return interruption.Check(); }));
  return Served{.received = received, .has_parent = parent.has_value()};
}

absl::Status Serve(const PageServerOptions& options, Background* background, Log& log) {
  ASSIGN_OR_RETURN(const Served served, Receive(options, background, log));
  const auto& [received, has_parent] = served;
  const std::string words = absl::StrCat(
      "Received ", received.pages, " pages, ", SizeText(received.pages * kImagePageSize), ", of ",
      received.objects, " tasks and shared objects to ", options.directory,
      has_parent ? absl::StrCat("; ", received.pages_in_parent, " more stand in previous images")
                 : "");
  log.Info(words);
  if (!received.told) {
    // It may have failed for that, and what the parent images hold be all that there is.
    return MakeFailure(
        Failure::kPeer, absl::StatusCode::kFailedPrecondition,
        absl::StrCat("the dump that sent ", received.pages, " pages to ", options.directory,
                     " has ended before it could be told that they are kept; they are, and in "
                     "previous images nothing was freed"));
  }
  if (has_parent && options.auto_dedup) FreeSuperseded(options.directory, log);
  // They are kept, whoever hears of it.
  WriteAnswer(absl::StrCat(words, ".\n")).IgnoreError();
  return absl::OkStatus();
}

absl::Status RunPageServer(PageServerOptions options) {
  std::optional<Background> background;
  if (options.daemon) {
    ASSIGN_OR_RETURN(background, Background::Start());
    // Of what goes wrong later nobody would know.
    if (options.log_file.empty()) options.log_file = kDaemonLog;
  }
  const std::string log_path = options.InWorkDirectory(options.log_file);
  ASSIGN_OR_RETURN(const auto log, OpenLog(log_path, options.verbosity));
  absl::Status status = Serve(options, background ? &*background : nullptr, *log);
  // Who asked is told by main; the file is for who looks later.
  if (!status.ok() && !log_path.empty()) log->Error(std::string(status.message()));
  return status;
}

}  // namespace

void AddPageServerCommand(CLI::App& app, CommandAction& action) {
  CLI::App* command =
      app.add_subcommand("page-server", "keep the memory that a dump elsewhere sends");
  auto options = std::make_shared<PageServerOptions>();
  command->add_option("-D,--images-dir", options->directory, "where the memory goes (default: .)")
      ->type_name("DIR");
  command
      ->add_option("-W,--work-dir", options->work_dir,
                   "where log and pid file go (default: the images directory)")
      ->type_name("DIR");
  command
      ->add_option("-o,--log-file", options->log_file,
                   "log there, not to stderr (default with --daemon: page-server.log)")
      ->type_name("FILE");
  command
      ->add_option("--verbosity", options->verbosity,
                   "or -vN: log 1 errors, 2 warnings (default), 3 information, 4 all")
      ->type_name("N");
  command->add_option("--pidfile", options->pidfile, "write the pid of the server there")
      ->type_name("FILE");
  command->add_option("--address", options->address, "where to listen (default: at every address)")
      ->type_name("ADDRESS");
  command->add_option("--port", options->port, "where to listen (default: any, which is told)")
      ->check(CLI::Range(0, UINT16_MAX))
      ->type_name("PORT");
  CLI::Option* status_fd =
      command
          ->add_option("--status-fd", options->status_fd,
                       "write a zero byte there, and close it, once a dump can send")
          ->check(CLI::NonNegativeNumber)
          ->type_name("FD");
  command->add_flag("--daemon", options->daemon, "go on in the background, once a dump can send")
      ->excludes(status_fd);
  command
      ->add_option("--prev-images-dir", options->prev_images_dir,
                   "where pages stand that a dump leaves to previous images, relative to -D")
      ->type_name("DIR");
  command->add_flag("--auto-dedup,!--no-auto-dedup", options->auto_dedup,
                    "free in these what is written again");
  command->add_flag("--sync", options->sync, "a dump has sent all only when it is on the disk");
  TakeTheLast(*command);
  command->callback([options, &action] { action = [options] { return RunPageServer(*options); }; });
}

}  // namespace dumpctl
