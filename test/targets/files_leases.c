/* Leases: who would break one is kept waiting, and their holder is told. */
#include "test/targets/target.h"

static volatile sig_atomic_t told;

static void Tell(int number) { told += number == SIGIO; }

static int Leased(const char* name, int flags, int lease) {
  close(REQUIRE_SYSCALL(open(name, O_RDWR | O_CREAT, 0600)));
  int fd = REQUIRE_SYSCALL(open(name, flags));
  REQUIRE_SYSCALL(fcntl(fd, F_SETLEASE, lease));
  return fd;
}

int main(void) {
  struct sigaction action = {.sa_handler = Tell, .sa_flags = SA_RESTART};
  REQUIRE_SYSCALL(sigaction(SIGIO, &action, NULL));
  int reader = Leased("reader", O_RDONLY, F_RDLCK);
  int writer = Leased("writer", O_RDWR, F_WRLCK);

  Checkpoint();

  EXPECT_EQ(0, told); /* a dump that opened one of them would have been told of */
  EXPECT_EQ(F_RDLCK, fcntl(reader, F_GETLEASE));
  EXPECT_EQ(F_WRLCK, fcntl(writer, F_GETLEASE));
  EXPECT_EQ(-1, open("writer", O_RDONLY | O_NONBLOCK));
  EXPECT_EQ(1, told);
  EXPECT(open("reader", O_RDONLY | O_NONBLOCK) >= 0);
  EXPECT_EQ(1, told);
  EXPECT_EQ(-1, open("reader", O_WRONLY | O_NONBLOCK));
  EXPECT_EQ(2, told);
  EXPECT_EQ(0, fcntl(writer, F_SETLEASE, F_UNLCK));
  EXPECT(open("writer", O_RDWR | O_NONBLOCK) >= 0);
  Pass();
}
