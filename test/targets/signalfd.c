/* Signal descriptors: masks with the first and the last signal, one that does not block, and a
 * signal that waits to be read from one. */
#include <sys/signalfd.h>

#include "test/targets/target.h"

static sigset_t Mask(int first, int second) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, first);
  sigaddset(&mask, second);
  return mask;
}

int main(void) {
  sigset_t some = Mask(SIGHUP, SIGRTMAX), others = Mask(SIGUSR1, SIGUSR2), none;
  sigemptyset(&none);
  sigset_t blocked = some;
  sigaddset(&blocked, SIGUSR1);
  sigaddset(&blocked, SIGUSR2);
  REQUIRE(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0);
  int extreme = REQUIRE_SYSCALL(signalfd(-1, &some, SFD_NONBLOCK));
  int waiting = REQUIRE_SYSCALL(signalfd(-1, &others, SFD_CLOEXEC | SFD_NONBLOCK));
  int empty = REQUIRE_SYSCALL(signalfd(-1, &none, 0));
  REQUIRE(sigqueue(getpid(), SIGUSR2, (union sigval){.sival_int = 77}) == 0);
  Checkpoint();
  EXPECT_EQ(FD_CLOEXEC, fcntl(waiting, F_GETFD));
  EXPECT_EQ(0, fcntl(empty, F_GETFL) & O_NONBLOCK);
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", empty);
  EXPECT(strstr(ReadText(path), "sigmask:\t0000000000000000") != NULL);
  struct signalfd_siginfo info;
  EXPECT_EQ(-1, read(extreme, &info, sizeof(info)));
  EXPECT_EQ(EAGAIN, errno);
  EXPECT_EQ(sizeof(info), read(waiting, &info, sizeof(info)));
  EXPECT_EQ(SIGUSR2, info.ssi_signo);
  EXPECT_EQ(77, info.ssi_int);
  EXPECT_EQ(-1, read(waiting, &info, sizeof(info)));
  const int kSent[] = {SIGRTMAX, SIGHUP};
  for (int i = 0; i < 2; ++i) {
    REQUIRE(kill(getpid(), kSent[i]) == 0);
    EXPECT_EQ(sizeof(info), read(extreme, &info, sizeof(info)));
    EXPECT_EQ(kSent[i], info.ssi_signo);
  }
  Pass();
}
