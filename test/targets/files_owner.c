/* Who is told of input on a descriptor, and by which signal. */
#include "test/targets/target.h"

static void Pipe(int* fds) { REQUIRE(pipe(fds) == 0); }

int main(void) {
  signal(SIGUSR1, SIG_IGN);
  int process[2], group[2], nobody[2];
  Pipe(process);
  Pipe(group);
  Pipe(nobody);
  struct f_owner_ex owner = {F_OWNER_PID, getpid()};
  REQUIRE(fcntl(process[0], F_SETOWN_EX, &owner) == 0);
  REQUIRE(fcntl(process[0], F_SETSIG, SIGUSR1) == 0);
  REQUIRE(fcntl(process[0], F_SETFL, O_ASYNC | O_NONBLOCK) == 0);
  REQUIRE(fcntl(group[0], F_SETOWN, -getpgrp()) == 0);
  Checkpoint();
  EXPECT(fcntl(process[0], F_GETOWN_EX, &owner) == 0);
  EXPECT_EQ(F_OWNER_PID, owner.type);
  EXPECT_EQ(getpid(), owner.pid);
  EXPECT_EQ(SIGUSR1, fcntl(process[0], F_GETSIG));
  EXPECT_EQ(O_NONBLOCK, fcntl(process[0], F_GETFL) & O_NONBLOCK);
  EXPECT(fcntl(group[0], F_GETOWN_EX, &owner) == 0);
  EXPECT_EQ(F_OWNER_PGRP, owner.type);
  EXPECT_EQ(getpgrp(), owner.pid);
  EXPECT_EQ(0, fcntl(group[0], F_GETSIG));
  EXPECT_EQ(0, fcntl(nobody[0], F_GETOWN));
  Pass();
}
