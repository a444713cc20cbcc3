#include "test/cli/program.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dumpctl {
namespace {

// Files rather than pipes: they never fill up, and need no second reader.
std::string TakeAll(int fd) {
  std::string text;
  char buffer[4096];
  lseek(fd, 0, SEEK_SET);
  for (ssize_t n = 0; (n = read(fd, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  return text;
}

}  // namespace

ProgramRun RunDumpctl(const std::vector<std::string>& arguments,
                      const std::function<void()>& before) {
  std::vector<std::string> words = {DUMPCTL};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int out = memfd_create("out", 0);
  const int err = memfd_create("err", 0);
  // By descriptor: a run without rights may not reach the build tree.
  const int program = open(DUMPCTL, O_RDONLY | O_CLOEXEC);
  const pid_t child = fork();
  if (child == 0) {
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    if (before) before();
    fexecve(program, argv.data(), environ);
    _exit(127);
  }
  close(program);
  int status = 0;
  waitpid(child, &status, 0);
  return {.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          .out = TakeAll(out),
          .err = TakeAll(err)};
}

}  // namespace dumpctl
