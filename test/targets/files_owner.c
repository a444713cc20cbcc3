/* Who is told of input on a descriptor, and by which signal. */
#include "test/targets/target.h"

static volatile sig_atomic_t told;

static void Tell(int number, siginfo_t* info, void* context) {
  (void)context;
  told += number == SIGUSR2 && info->si_code == POLL_IN;
}

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
  struct sigaction action = {.sa_sigaction = Tell, .sa_flags = SA_SIGINFO | SA_RESTART};
  REQUIRE_SYSCALL(sigaction(SIGUSR2, &action, NULL));
  int told_of[2];
  Pipe(told_of);
  owner.type = F_OWNER_TID;
  REQUIRE_SYSCALL(fcntl(told_of[0], F_SETOWN_EX, &owner));
  REQUIRE_SYSCALL(fcntl(told_of[0], F_SETSIG, SIGUSR2));
  REQUIRE_SYSCALL(fcntl(told_of[0], F_SETFL, O_ASYNC));
  Checkpoint();
  EXPECT(fcntl(process[0], F_GETOWN_EX, &owner) == 0);
  EXPECT_EQ(F_OWNER_PID, owner.type);
  EXPECT_EQ(getpid(), owner.pid);
  EXPECT_EQ(SIGUSR1, fcntl(process[0], F_GETSIG));
  EXPECT_EQ(O_NONBLOCK | O_ASYNC, fcntl(process[0], F_GETFL) & (O_NONBLOCK | O_ASYNC));
  EXPECT(fcntl(group[0], F_GETOWN_EX, &owner) == 0);
  EXPECT_EQ(F_OWNER_PGRP, owner.type);
  EXPECT_EQ(getpgrp(), owner.pid);
  EXPECT_EQ(0, fcntl(group[0], F_GETSIG));
  EXPECT_EQ(0, fcntl(nobody[0], F_GETOWN));
  EXPECT(fcntl(told_of[0], F_GETOWN_EX, &owner) == 0);
  EXPECT_EQ(F_OWNER_TID, owner.type);
  EXPECT_EQ(0, told);
  EXPECT_EQ(1, write(told_of[1], "x", 1));
  EXPECT_EQ(1, told);
  Pass();
}
