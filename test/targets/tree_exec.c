/* Children that run other programs, in a pipeline that is under way. */
#include <sys/wait.h>

#include "test/targets/target.h"

static pid_t Run(int in, int out, const char* program, const char* argument) {
  const pid_t pid = REQUIRE_SYSCALL(fork());
  if (pid == 0) {
    REQUIRE_SYSCALL(dup2(in, 0));
    REQUIRE_SYSCALL(dup2(out, 1));
    for (int fd = 3; fd < 32; ++fd) close(fd);
    execlp(program, program, argument, NULL);
    _exit(127);
  }
  return pid;
}

static void WaitUntilReads(pid_t pid) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
  long number = -1;
  while (sscanf(ReadText(path), "%ld 0x0 ", &number) != 1 || number != SYS_read) SleepMs(1);
}

int main(void) {
  int first[2];
  int second[2];
  int third[2];
  REQUIRE_SYSCALL(pipe2(first, O_CLOEXEC));
  REQUIRE_SYSCALL(pipe2(second, O_CLOEXEC));
  REQUIRE_SYSCALL(pipe2(third, O_CLOEXEC));
  const pid_t cat = Run(first[0], second[1], "cat", "-");
  const pid_t sort = Run(second[0], third[1], "sort", "-r");
  close(first[0]);
  close(second[0]);
  close(second[1]);
  close(third[1]);
  REQUIRE(write(first[1], "one\nthree\n", 10) == 10);
  WaitUntilReads(cat);
  WaitUntilReads(sort);

  Checkpoint();

  EXPECT_EQ(4, write(first[1], "two\n", 4));
  EXPECT_EQ(0, close(first[1]));
  char text[32] = "";
  size_t used = 0;
  for (ssize_t n; (n = read(third[0], text + used, sizeof(text) - 1 - used)) > 0;) used += n;
  EXPECT_STREQ("two\nthree\none\n", text);
  int status = -1;
  EXPECT_EQ(cat, waitpid(cat, &status, 0));
  EXPECT_EQ(0, status);
  EXPECT_EQ(sort, waitpid(sort, &status, 0));
  EXPECT_EQ(0, status);
  Pass();
}
