/* Processes that come and go all the time, also while the tree is being frozen: none is lost and
 * none is seen twice by its parent. */
#include <sys/wait.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

enum { kForkers = 3 };

static void Forker(Child* self, void* unused) {
  (void)unused;
  char byte = 'r';
  REQUIRE(write(self->ready[1], &byte, 1) == 1);
  REQUIRE_SYSCALL(fcntl(self->go[0], F_SETFL, O_NONBLOCK));
  for (int i = 0; read(self->go[0], &byte, 1) != 1; ++i) {
    EXPECT_EQ(EAGAIN, errno);
    const int code = i % 100;
    const pid_t pid = fork();
    EXPECT(pid >= 0);
    if (pid == 0) {
      const pid_t grandchild = fork();
      if (grandchild == 0) _exit(code + 1);
      int status = -1;
      if (waitpid(grandchild, &status, 0) != grandchild) _exit(200);
      if (status != (code + 1) << 8) _exit(201);
      _exit(code);
    }
    int status = -1;
    EXPECT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(code << 8, status);
    EXPECT(waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD);
  }
}

int main(void) {
  Child* forkers[kForkers];
  for (int i = 0; i < kForkers; ++i) forkers[i] = StartChild(0, Forker, NULL);
  Checkpoint();
  for (int i = 0; i < kForkers; ++i) CheckChild(forkers[i]);
  EXPECT(wait(NULL) == -1 && errno == ECHILD);
  Pass();
}
