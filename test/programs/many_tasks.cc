// A tree of many processes: `many_tasks deep N`, each the child of the one before, or `many_tasks
// wide N`, all children of one. Each has memory and numbers of its own, and waits for a byte; by
// then it tells whether all is as it was.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int kFine = 42;

// In two pages and more of each process, which were its parent's before.
std::array<uint32_t, 2048> words;

[[noreturn]] void End(std::string_view verdict, int status) {
  std::printf("%.*s\n", static_cast<int>(verdict.size()), verdict.data());
  std::fflush(stdout);
  if (status != 0) kill(0, SIGKILL);
  _exit(status);
}

[[noreturn]] void Fail(const std::string& message) { End("FAIL: " + message, 1); }

void Require(bool condition, const char* what) {
  if (!condition) Fail(std::string("cannot ") + what);
}

struct Pipe {
  int reading = -1;
  int writing = -1;
};

Pipe NewPipe() {
  std::array<int, 2> ends;
  Require(pipe(ends.data()) == 0, "make a pipe");
  return {ends[0], ends[1]};
}

uint32_t NumberAt(uint32_t task, uint32_t i) { return (task + 1) * 2654435761u ^ i * 40503u; }

// What the process with this number has.
class State {
 public:
  explicit State(uint32_t task) : task_(task), pid_(getpid()), parent_(getppid()) {
    for (uint32_t i = 0; i < words.size(); ++i) words[i] = NumberAt(task, i);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, Signal());
    sigprocmask(SIG_SETMASK, &blocked, nullptr);
    raise(Signal());
  }

  bool IsRight() const {
    if (getpid() != pid_ || getppid() != parent_) return false;
    sigset_t pending;
    sigpending(&pending);
    if (sigismember(&pending, Signal()) != 1) return false;
    for (uint32_t i = 0; i < words.size(); ++i) {
      if (words[i] != NumberAt(task_, i)) return false;
    }
    return true;
  }

 private:
  // One that waits; another one in neighbours.
  int Signal() const { return SIGRTMIN + static_cast<int>(task_ % 20); }

  uint32_t task_;
  pid_t pid_;
  pid_t parent_;
};

bool WaitForByte(int fd) {
  char byte = 0;
  return read(fd, &byte, 1) == 1 && byte == '!';
}

void Write(int fd, char byte) { Require(write(fd, &byte, 1) == 1, "write"); }

int ExitOf(pid_t pid) {
  int status = 0;
  if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

// The one with this number and all below it. The last one tells that all are there.
[[noreturn]] void Descend(uint32_t task, uint32_t count, int told, int ready) {
  const State state(task);
  Pipe below;
  pid_t child = -1;
  if (task + 1 < count) {
    below = NewPipe();
    child = fork();
    Require(child >= 0, "fork");
    if (child == 0) {
      close(below.writing);
      close(told);
      Descend(task + 1, count, below.reading, ready);
    }
    close(below.reading);
  } else {
    Write(ready, '!');
  }
  close(ready);
  bool right = WaitForByte(told) && state.IsRight();
  if (child > 0) {
    Write(below.writing, '!');
    right = ExitOf(child) == kFine && right;
  }
  _exit(right ? kFine : 1);
}

std::vector<pid_t> ForkAll(uint32_t count, int told, int ready) {
  std::vector<pid_t> children;
  for (uint32_t task = 0; task < count; ++task) {
    const pid_t child = fork();
    Require(child >= 0, "fork");
    if (child == 0) {
      const State state(task);
      Write(ready, '!');
      _exit(WaitForByte(told) && state.IsRight() ? kFine : 1);
    }
    children.push_back(child);
  }
  return children;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) Fail("usage: many_tasks deep|wide N");
  const bool deep = std::string_view(argv[1]) == "deep";
  const auto count = static_cast<uint32_t>(std::atoi(argv[2]));
  const Pipe told = NewPipe(), ready = NewPipe();
  std::vector<pid_t> children;
  if (deep) {
    children.push_back(fork());
    if (children.back() == 0) {
      close(told.writing);
      close(ready.reading);
      Descend(0, count, told.reading, ready.writing);
    }
  } else {
    children = ForkAll(count, told.reading, ready.writing);
  }
  for (uint32_t i = 0; i < (deep ? 1 : count); ++i) {
    Require(WaitForByte(ready.reading), "hear of all");
  }
  std::puts("ready");
  std::fflush(stdout);
  while (access("go", F_OK) != 0) usleep(5000);

  for (size_t i = 0; i < children.size(); ++i) Write(told.writing, '!');
  for (size_t i = 0; i < children.size(); ++i) {
    if (ExitOf(children[i]) != kFine) Fail("child " + std::to_string(i) + " is not as it was");
  }
  End("PASS", 0);
}
