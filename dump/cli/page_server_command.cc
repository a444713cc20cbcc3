#include "dump/cli/page_server_command.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "dump/cli/answer.h"
#include "dump/cli/report_text.h"
#include "dump/image/page_receiver.h"
#include "dump/image/server_address.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {
namespace {

struct PageServerOptions {
  std::string directory = ".";
  std::string address = "0.0.0.0";
  uint16_t port = 0;
  int status_fd = -1;
  bool sync = false;
};

absl::Status CannotListen(int error, const PageServerOptions& options) {
  return MakeFailure(Failure::kHost, absl::ErrnoToStatusCode(error),
                     absl::StrCat("listening at ", options.address, " port ", options.port, ": ",
                                  std::strerror(error), "; choose another --address or --port"));
}

absl::StatusOr<UniqueFd> Listen(const PageServerOptions& options) {
  ASSIGN_OR_RETURN(const SocketAddress address,
                   SocketAddress::Parse(options.address, options.port));
  UniqueFd listener(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int one = 1;
  if (!listener || setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
      bind(listener.get(), address.get(), address.size()) < 0 || listen(listener.get(), 1) < 0) {
    return CannotListen(errno, options);
  }
  return listener;
}

// A zero byte, and the end: whoever has started it can send now.
absl::Status TellReady(int status_fd) {
  if (status_fd < 0) return absl::OkStatus();
  const UniqueFd told(status_fd);
  if (write(told.get(), "", 1) == 1) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("--status-fd ", status_fd));
}

absl::Status Serve(const PageServerOptions& options) {
  ASSIGN_OR_RETURN(ImageDirectory directory, ImageDirectory::Open(options.directory));
  RETURN_IF_ERROR(directory.ExpectNoImages());
  ASSIGN_OR_RETURN(UniqueFd listener, Listen(options));
  RETURN_IF_ERROR(TellReady(options.status_fd));
  UniqueFd peer;
  while (!peer) {
    peer.Reset(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!peer && errno != EINTR && errno != ECONNABORTED) return CannotListen(errno, options);
  }
  // One dump is all that it serves: another one shall be refused, not wait.
  listener.Reset();
  ASSIGN_OR_RETURN(const ReceivedPages received,
                   ReceivePages(BorrowedFd(peer), directory, options.sync));
  const std::string text = absl::StrCat(
      "Received ", received.pages, " pages, ", SizeText(received.pages * kImagePageSize), ", of ",
      received.objects, " tasks and shared objects to ", options.directory, ".\n");
  // They are kept, whoever hears of it.
  WriteAnswer(text).IgnoreError();
  return absl::OkStatus();
}

}  // namespace

void AddPageServerCommand(CLI::App& app, CommandAction& action) {
  CLI::App* command =
      app.add_subcommand("page-server", "keep the memory that a dump elsewhere sends");
  auto options = std::make_shared<PageServerOptions>();
  command->add_option("-D,--images-dir", options->directory, "where the memory goes (default: .)")
      ->type_name("DIR");
  command->add_option("--address", options->address, "where to listen (default: at every address)")
      ->type_name("ADDRESS");
  command->add_option("--port", options->port, "where to listen")
      ->required()
      ->check(CLI::Range(1, UINT16_MAX))
      ->type_name("PORT");
  command
      ->add_option("--status-fd", options->status_fd,
                   "write a zero byte there, and close it, once a dump can send")
      ->check(CLI::NonNegativeNumber)
      ->type_name("FD");
  command->add_flag("--sync", options->sync, "a dump has sent all only when it is on the disk");
  command->callback([options, &action] { action = [options] { return Serve(*options); }; });
}

}  // namespace dumpctl
