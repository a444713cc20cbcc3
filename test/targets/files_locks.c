/* Locks on files, of all kinds: they keep others away as they did, and go with who holds them. */
#include <sys/file.h>
#include <sys/stat.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

static int posix, of_child;

static void Lock(int fd, int command, short type, off_t start, off_t len) {
  struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
  REQUIRE_SYSCALL(fcntl(fd, command, &lock));
}

/* What stands in the way of a lock, as another open file or process sees it. */
static struct flock InTheWay(int fd, int command, short type, off_t start, off_t len) {
  struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
  EXPECT_EQ(0, fcntl(fd, command, &lock));
  return lock;
}

static void ExpectLock(struct flock lock, short type, off_t start, off_t len, pid_t pid) {
  EXPECT_EQ(type, lock.l_type);
  EXPECT_EQ(start, lock.l_start);
  EXPECT_EQ(len, lock.l_len);
  EXPECT_EQ(pid, lock.l_pid);
}

/* Shares the open files of its parent, and so its flock(2), but not its POSIX locks. */
static void Other(Child* self, void* unused) {
  (void)unused;
  of_child = REQUIRE_SYSCALL(open("posix", O_RDWR));
  Lock(of_child, F_SETLK, F_WRLCK, 200, 10);
  AwaitCheck(self);
  const pid_t parent = getppid();
  ExpectLock(InTheWay(of_child, F_GETLK, F_WRLCK, 0, 20), F_WRLCK, 5, 10, parent);
  ExpectLock(InTheWay(of_child, F_GETLK, F_WRLCK, 50, 10), F_RDLCK, 50, 50, parent);
  EXPECT_EQ(F_UNLCK, InTheWay(of_child, F_GETLK, F_RDLCK, 50, 10).l_type);
  EXPECT_EQ(F_UNLCK, InTheWay(of_child, F_GETLK, F_WRLCK, 15, 35).l_type);
  ExpectLock(InTheWay(of_child, F_GETLK, F_WRLCK, 5000, 1), F_WRLCK, 1000, 0, parent);
}

int main(void) {
  posix = REQUIRE_SYSCALL(open("posix", O_RDWR | O_CREAT, 0600));
  REQUIRE_SYSCALL(dup(posix));
  Lock(posix, F_SETLK, F_WRLCK, 5, 10);
  Lock(posix, F_SETLK, F_RDLCK, 50, 50);
  int second = REQUIRE_SYSCALL(open("posix", O_RDWR));
  Lock(second, F_SETLK, F_WRLCK, 1000, 0);
  int exclusive = REQUIRE_SYSCALL(open("exclusive", O_RDONLY | O_CREAT, 0600));
  REQUIRE_SYSCALL(flock(exclusive, LOCK_EX));
  int shared = REQUIRE_SYSCALL(open("shared", O_RDWR | O_CREAT, 0600));
  REQUIRE_SYSCALL(flock(shared, LOCK_SH));
  int ofd = REQUIRE_SYSCALL(open("ofd", O_RDWR | O_CREAT, 0600));
  Lock(ofd, F_OFD_SETLK, F_WRLCK, 1, 7);
  Lock(ofd, F_OFD_SETLK, F_RDLCK, 100, 0);
  REQUIRE_SYSCALL(mkdir("dir", 0700));
  int directory = REQUIRE_SYSCALL(open("dir", O_RDONLY));
  REQUIRE_SYSCALL(flock(directory, LOCK_EX));
  Child* other = StartChild(0, Other, NULL);

  Checkpoint();

  ExpectLock(InTheWay(posix, F_GETLK, F_WRLCK, 100, 200), F_WRLCK, 200, 10, other->pid);
  CheckChild(other);
  EXPECT_EQ(F_UNLCK, InTheWay(posix, F_GETLK, F_WRLCK, 100, 200).l_type);
  int again = open("exclusive", O_RDONLY);
  EXPECT_EQ(-1, flock(again, LOCK_SH | LOCK_NB));
  EXPECT_EQ(0, close(exclusive));
  EXPECT_EQ(0, flock(again, LOCK_EX | LOCK_NB));
  again = open("shared", O_RDONLY);
  EXPECT_EQ(0, flock(again, LOCK_SH | LOCK_NB));
  EXPECT_EQ(-1, flock(again, LOCK_EX | LOCK_NB));
  again = open("ofd", O_RDWR);
  ExpectLock(InTheWay(again, F_OFD_GETLK, F_RDLCK, 0, 0), F_WRLCK, 1, 7, -1);
  ExpectLock(InTheWay(again, F_OFD_GETLK, F_WRLCK, 50, 0), F_RDLCK, 100, 0, -1);
  Lock(ofd, F_OFD_SETLK, F_UNLCK, 0, 0);
  EXPECT_EQ(F_UNLCK, InTheWay(again, F_OFD_GETLK, F_WRLCK, 0, 0).l_type);
  again = open("dir", O_RDONLY);
  EXPECT_EQ(-1, flock(again, LOCK_SH | LOCK_NB));
  Pass();
}
