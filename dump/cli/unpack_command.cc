#include "dump/cli/unpack_command.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "dump/cli/answer.h"
#include "dump/cli/interruption.h"
#include "dump/cli/report_text.h"
#include "dump/image/unpack_archive.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {
namespace {

struct UnpackOptions {
  std::string archive = "-";
  std::string directory = ".";
  bool sync = false;
};

absl::Status CannotRead(absl::StatusCode code, std::string_view why) {
  return MakeFailure(Failure::kBadImage, code, absl::StrCat("archive ", std::string(why)));
}

absl::Status Unpack(const UnpackOptions& options) {
  UniqueFd file;
  if (options.archive != "-") {
    file.Reset(open(options.archive.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
      return CannotRead(absl::ErrnoToStatusCode(errno),
                        absl::StrCat(options.archive, ": ", std::strerror(errno)));
    }
  } else if (isatty(STDIN_FILENO) != 0) {
    return MakeFailure(Failure::kUsage, absl::StatusCode::kInvalidArgument,
                       "standard input is a terminal; name an archive, or have one come by a pipe");
  }
  const BorrowedFd from(file ? file.get() : STDIN_FILENO);
  absl::StatusOr<Unpacked> unpacked;
  {
    const Interruption interruption("nothing was unpacked");
    unpacked = UnpackArchive(from, options.directory, options.sync,
                             [&interruption] { return interruption.Check(); });
  }
  RETURN_IF_ERROR(unpacked.status());
  const std::string text =
      absl::StrCat("Unpacked ", unpacked->images, " images, ", SizeText(unpacked->bytes), ", to ",
                   options.directory, ".\n");
  // The dump stands, whoever hears of it.
  WriteAnswer(text).IgnoreError();
  return absl::OkStatus();
}

}  // namespace

void AddUnpackCommand(CLI::App& app, CommandAction& action) {
  CLI::App* command =
      app.add_subcommand("unpack", "make a directory of images of what dump --output has written");
  auto options = std::make_shared<UnpackOptions>();
  command->add_option("archive", options->archive, "the archive (default: standard input)")
      ->type_name("FILE");
  command->add_option("-D,--images-dir", options->directory, "where the images go (default: .)")
      ->type_name("DIR");
  command->add_flag("--sync", options->sync, "the dump stands only when it is on the disk (fsync)");
  command->callback([options, &action] { action = [options] { return Unpack(*options); }; });
}

}  // namespace dumpctl
