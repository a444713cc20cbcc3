/* A process whose children are to live in a pid namespace that has nobody yet. The first who is
 * started there is its init, and nobody can be started after that one has ended: it must be no
 * process that a dumper starts for a while, not even of one with so much memory. */
#include <sched.h>
#include <sys/wait.h>

#include "test/targets/target.h"

enum { kSize = 80 << 20, kPageSize = 4096, kFirst = 3, kOther = 4 };

int main(void) {
  char* memory = Map(kSize);
  for (int at = 0; at < kSize; at += kPageSize) memory[at] = 1;
  if (unshare(CLONE_NEWPID) != 0) Skip("no pid namespace can be made here");
  /* The images have no field for it: restored, its children live where it lives. */
  const int expected = Checkpoint() == kResumed ? kFirst : kOther;
  pid_t child = -1;
  EXPECT((child = fork()) >= 0);
  if (child == 0) _exit(getpid() == 1 ? kFirst : kOther);
  int status = -1;
  EXPECT_EQ(child, waitpid(child, &status, 0));
  EXPECT(WIFEXITED(status));
  EXPECT_EQ(expected, WEXITSTATUS(status));
  for (int at = 0; at < kSize; at += kPageSize) EXPECT_EQ(1, memory[at]);
  Pass();
}
