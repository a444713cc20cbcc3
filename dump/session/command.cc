#include "dump/session/command.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "dumpctl/printable.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::StatusOr<std::string> PathOf(const std::string& name) {
  const char* const path = getenv("PATH");
  // An ordinary user's PATH has no programs for administrators.
  const std::string places = absl::StrCat(path == nullptr ? "" : path, ":/usr/sbin:/sbin");
  for (const std::string& place : std::vector<std::string>(absl::StrSplit(places, ':'))) {
    if (!place.starts_with('/')) continue;
    std::string candidate = absl::StrCat(place, "/", name);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return absl::NotFoundError(absl::StrCat(name, " is not installed"));
}

absl::StatusOr<UniqueFd> MemoryFile() {
  UniqueFd fd(memfd_create("dumpctl-command", MFD_CLOEXEC));
  if (!fd) return absl::ErrnoToStatus(errno, "memfd_create");
  return fd;
}

std::string Contents(const UniqueFd& file) {
  char text[512];
  ssize_t size = pread(file.get(), text, sizeof text, 0);
  while (size > 0 && text[size - 1] == '\n') --size;
  return std::string(text, size > 0 ? static_cast<size_t>(size) : 0);
}

}  // namespace

absl::StatusOr<Command> Command::Prepare(std::vector<std::string> arguments,
                                         const std::string& input) {
  Command command;
  ASSIGN_OR_RETURN(command.path_, PathOf(arguments.front()));
  ASSIGN_OR_RETURN(command.input_, MemoryFile());
  for (size_t done = 0; done < input.size();) {
    const ssize_t more = write(command.input_.get(), input.data() + done, input.size() - done);
    if (more < 0) return absl::ErrnoToStatus(errno, "writing a program's input");
    done += static_cast<size_t>(more);
  }
  command.null_.Reset(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!command.null_) return absl::ErrnoToStatus(errno, "/dev/null");
  command.arguments_ = std::move(arguments);
  // A vector that is moved keeps its elements where they are.
  for (std::string& argument : command.arguments_) command.pointers_.push_back(argument.data());
  command.pointers_.push_back(nullptr);
  return command;
}

int Command::Execute(int errors) const {
  lseek(input_.get(), 0, SEEK_SET);
  const pid_t parent = getpid();
  const long pid = syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid < 0) return -1;
  if (pid == 0) {
    // It ends with us, so that it does nothing any more when somebody else undoes what it did.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    char* const environment[] = {path, nullptr};
    dup2(input_.get(), 0);
    dup2(null_.get(), 1);
    dup2(errors < 0 ? null_.get() : errors, 2);
    execve(path_.c_str(), pointers_.data(), environment);
    _exit(127);
  }
  int status = -1;
  while (waitpid(static_cast<pid_t>(pid), &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return status;
}

absl::Status Command::Run() const {
  ASSIGN_OR_RETURN(const UniqueFd errors, MemoryFile());
  const int status = Execute(errors.get());
  if (status == 0) return absl::OkStatus();
  if (status == -1) return absl::ErrnoToStatus(errno, absl::StrCat("running ", name()));
  return absl::InternalError(absl::StrCat(name(), " failed: ", Printable(Contents(errors))));
}

}  // namespace dumpctl
