#include "dump/session/action_scripts.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dumpctl/failure.h"
#include "dumpctl/printable.h"
#include "dumpctl/status_macros.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

// Our environment, with theirs.
absl::StatusOr<std::vector<std::string>> Environment(std::string_view action, BorrowedFd images,
                                                     pid_t root) {
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
  std::vector<std::string> all = {
      absl::StrCat("CRTOOLS_SCRIPT_ACTION=", std::string(action)),
      absl::StrCat("CRTOOLS_IMAGE_DIR=", self.path(), "/fd/", images.get()),
      absl::StrCat("CRTOOLS_INIT_PID=", root)};
  for (char** each = environ; *each != nullptr; ++each) {
    if (!std::string_view(*each).starts_with("CRTOOLS_")) all.emplace_back(*each);
  }
  return all;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// A program that was started, in a process group of its own, so that what it starts ends with it.
class Script {
 public:
  Script(std::string program, std::string_view action)
      : name_(absl::StrCat("action script ", Printable(program), " (", std::string(action), ")")),
        program_(std::move(program)) {}
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;
  ~Script() { End(); }

  absl::Status Start(std::vector<std::string> environment, const std::string& directory);
  // Till it has ended. Errors: as of ActionScripts::Run.
  absl::Status Await(absl::Time deadline, const std::function<absl::Status()>& may_go_on);

 private:
  absl::Status Failed(std::string_view how) const {
    return MakeFailure(Failure::kScript, absl::StatusCode::kAborted,
                       absl::StrCat(name_, " ", std::string(how)));
  }
  [[noreturn]] void Become(int failure, pid_t parent, const char* directory, char* const* words,
                           char* const* environment) const;
  absl::Status Verdict();
  int Wait();
  void End();

  std::string name_;
  std::string program_;
  pid_t pid_ = 0;
  UniqueFd pidfd_;
};

// Nothing but system calls: other threads may hold any lock.
void Script::Become(int failure, pid_t parent, const char* directory, char* const* words,
                    char* const* environment) const {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() == parent) {
    setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = open("/dev/null", O_RDONLY);
    if (null >= 0 && dup2(null, 0) == 0 && dup2(2, 1) == 1 && chdir(directory) == 0) {
      execvpe(words[0], words, environment);
    }
  }
  const int error = errno;
  (void)!write(failure, &error, sizeof error);
  _exit(127);
}

absl::Status Script::Start(std::vector<std::string> environment, const std::string& directory) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return absl::ErrnoToStatus(errno, name_);
  const UniqueFd failure(ends[0]);
  UniqueFd told(ends[1]);
  std::vector<std::string> words = {program_};
  const std::vector<char*> word_pointers = Pointers(words);
  const std::vector<char*> variables = Pointers(environment);
  const pid_t parent = getpid();
  const long pid = syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid < 0) return absl::ErrnoToStatus(errno, name_);
  if (pid == 0) {
    Become(told.get(), parent, directory.c_str(), word_pointers.data(), variables.data());
  }
  pid_ = static_cast<pid_t>(pid);
  told.Reset();
  pidfd_.Reset(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (!pidfd_) return absl::ErrnoToStatus(errno, name_);
  int error = 0;
  // The end of the file says that the program was started.
  if (read(failure.get(), &error, sizeof error) != sizeof error) return absl::OkStatus();
  return Failed(absl::StrCat("could not be started: ", std::strerror(error)));
}

absl::Status Script::Await(absl::Time deadline, const std::function<absl::Status()>& may_go_on) {
  constexpr int kMillisecondsBetweenLooks = 100;
  pollfd end = {.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
  while (poll(&end, 1, kMillisecondsBetweenLooks) <= 0) {
    if (may_go_on) RETURN_IF_ERROR(may_go_on());
    if (absl::Now() < deadline) continue;
    return MakeFailure(Failure::kTimeout, absl::StatusCode::kDeadlineExceeded,
                       absl::StrCat(name_,
                                    " did not end in time, with the processes frozen; let it "
                                    "do less, or give more time (--timeout)"));
  }
  return Verdict();
}

absl::Status Script::Verdict() {
  const int status = Wait();
  if (WIFSIGNALED(status)) {
    return Failed(absl::StrCat("was killed by signal ", WTERMSIG(status)));
  }
  if (WEXITSTATUS(status) == 0) return absl::OkStatus();
  return Failed(absl::StrCat("ended with status ", WEXITSTATUS(status)));
}

int Script::Wait() {
  const pid_t pid = std::exchange(pid_, 0);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

void Script::End() {
  if (pid_ <= 0) return;
  // It may not have a group of its own yet.
  kill(pid_, SIGKILL);
  kill(-pid_, SIGKILL);
  Wait();
}

}  // namespace

absl::Status ActionScripts::Run(std::string_view action, BorrowedFd images,
                                absl::Time deadline) const {
  const std::string& directory =
      options_.work_dir.empty() ? options_.images_dir : options_.work_dir;
  ASSIGN_OR_RETURN(const std::vector<std::string> environment,
                   Environment(action, images, options_.pid));
  absl::Status result;
  const std::vector<std::string>& programs = options_.action_scripts;
  for (auto program = programs.rbegin(); program != programs.rend(); ++program) {
    Script script(*program, action);
    absl::Status status = script.Start(environment, directory);
    if (status.ok()) status = script.Await(deadline, options_.may_go_on);
    if (!status.ok() && FailureOf(status) != Failure::kScript) return status;
    result.Update(status);
  }
  return result;
}

absl::Status ActionScripts::BeforeDump() const {
  const UniqueFd images(open(options_.images_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!images) {
    return MakeFailure(Failure::kImagesDir, absl::ErrnoToStatusCode(errno),
                       absl::StrCat("images directory ", options_.images_dir, ": ",
                                    std::strerror(errno), "; name a directory (-D)"));
  }
  return Run("pre-dump", BorrowedFd(images), absl::InfiniteFuture());
}

absl::Status ActionScripts::AfterDump(BorrowedFd images) const {
  return Run("post-dump", images, absl::Now() + options_.timeout);
}

}  // namespace dumpctl
