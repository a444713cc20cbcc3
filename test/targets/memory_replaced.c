/* A child in whose place, when the file `replace` appears, its parent puts another process that has
 * its pid, which executes a program anew when `execute` appears, and writes to its memory once when
 * `write` does. Each has other memory than the one before at the same addresses. */
#include <linux/sched.h>
#include <sys/wait.h>

#include "test/targets/target.h"

enum { kPages = 256, kSize = kPages * 4096 };

static char* const kPlace = (char*)0x300000000000;

/* Pipes: a byte says that the child stands, and what it shall do. */
static int ready[2];
static int order[2];

static void Tell(int pipe, char byte) { REQUIRE(write(pipe, &byte, 1) == 1); }

static char Hear(int pipe) {
  char byte = 0;
  REQUIRE(read(pipe, &byte, 1) == 1);
  return byte;
}

/* What its memory holds is told by `seed`. */
static _Noreturn void BeChild(int seed, const char* program) {
  REQUIRE(mmap(kPlace, kSize, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == kPlace);
  Fill(kPlace, kSize, seed);
  Tell(ready[1], 'r');
  char what = Hear(order[0]);
  if (what == 'w') {
    Fill(kPlace, kSize, ++seed);
    Tell(ready[1], 'r');
    what = Hear(order[0]);
  }
  if (what == 'x') {
    char numbers[2][16];
    snprintf(numbers[0], sizeof numbers[0], "%d", ready[1]);
    snprintf(numbers[1], sizeof numbers[1], "%d", order[0]);
    execl(program, program, numbers[0], numbers[1], NULL);
    _exit(127);
  }
  ExpectFilled("the memory of the child", kPlace, kSize, seed);
  _exit(0);
}

/* `pid`: 0 for any. */
static pid_t Start(pid_t pid, int seed, const char* program) {
  struct clone_args how = {.exit_signal = SIGCHLD};
  if (pid != 0) {
    how.set_tid = (uintptr_t)&pid;
    how.set_tid_size = 1;
  }
  const pid_t child = REQUIRE_SYSCALL(syscall(SYS_clone3, &how, sizeof how));
  if (child == 0) BeChild(seed, program);
  Hear(ready[0]);
  return child;
}

static void Replace(pid_t child, const char* program) {
  int status = -1;
  EXPECT(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
  EXPECT_EQ(child, Start(child, 3, program));
}

static void Execute(pid_t child, const char* program) {
  (void)child;
  (void)program;
  Tell(order[1], 'x');
  Hear(ready[0]);
}

static void Write(pid_t child, const char* program) {
  (void)child;
  (void)program;
  Tell(order[1], 'w');
  Hear(ready[0]);
}

static bool HasDone(void (*deed)(pid_t, const char*), const char* asked, const char* done,
                    pid_t child, const char* program) {
  if (access(asked, R_OK) != 0) return false;
  deed(child, program);
  REQUIRE_SYSCALL(close(REQUIRE_SYSCALL(open(done, O_WRONLY | O_CREAT, 0600))));
  return true;
}

int main(int argc, char** argv) {
  if (argc == 3) {
    ready[1] = atoi(argv[1]);
    order[0] = atoi(argv[2]);
    BeChild(4, argv[0]);
  }
  char* own = Map(kSize);
  Fill(own, kSize, 1);
  REQUIRE_SYSCALL(pipe(ready));
  REQUIRE_SYSCALL(pipe(order));
  const pid_t child = Start(0, 2, argv[0]);
  Ready();
  bool done = false;
  while (access("go", R_OK) != 0) {
    done = done || HasDone(Replace, "replace", "replaced", child, argv[0]) ||
           HasDone(Execute, "execute", "executed", child, argv[0]) ||
           HasDone(Write, "write", "written", child, argv[0]);
    SleepMs(1);
  }
  Tell(order[1], 'g');
  int status = -1;
  EXPECT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status);
  ExpectFilled("the memory of the parent", own, kSize, 1);
  Pass();
}
