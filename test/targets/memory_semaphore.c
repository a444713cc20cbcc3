/* A named semaphore of sem_open(3), which its maker has mapped by a name that is gone, and one
 * whose name is removed: a child waits for each, others find the first by its name. */
#include <semaphore.h>
#include <sys/wait.h>

#include "test/targets/target.h"

static sem_t* Opened(const char* name) {
  sem_t* semaphore = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
  REQUIRE(semaphore != SEM_FAILED);
  return semaphore;
}

/* Ends well once it has got what it waits for. */
static pid_t StartWaiting(sem_t* semaphore) {
  pid_t child = REQUIRE_SYSCALL(fork());
  if (child == 0) _exit(sem_wait(semaphore) == 0 ? 0 : 1);
  return child;
}

static void WaitUntilWaiting(pid_t pid) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
  while (strtol(ReadText(path), NULL, 10) != SYS_futex) SleepMs(1);
}

static void ExpectEndsWell(pid_t child) {
  int status = -1;
  EXPECT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status);
}

static int ValueOf(sem_t* semaphore) {
  int value = -1;
  EXPECT_EQ(0, sem_getvalue(semaphore, &value));
  return value;
}

int main(void) {
  char name[64];
  char removed[64];
  snprintf(name, sizeof(name), "/target-named-%d-%jd", getpid(), (intmax_t)NowMs());
  snprintf(removed, sizeof(removed), "/target-removed-%d-%jd", getpid(), (intmax_t)NowMs());
  sem_t* named = Opened(name);
  sem_t* nameless = Opened(removed);
  REQUIRE_SYSCALL(sem_unlink(removed));
  pid_t first = StartWaiting(named);
  pid_t second = StartWaiting(nameless);
  WaitUntilWaiting(first);
  WaitUntilWaiting(second);
  Checkpoint();
  EXPECT_EQ(0, waitpid(-1, NULL, WNOHANG));
  EXPECT_EQ(0, sem_post(nameless));
  ExpectEndsWell(second);
  EXPECT_EQ(0, ValueOf(nameless));

  /* glibc would find this process's own mapping by the inode: another process looks it up. */
  pid_t other = REQUIRE_SYSCALL(fork());
  if (other == 0) {
    char path[80];
    snprintf(path, sizeof(path), "/dev/shm/sem.%s", name + 1);
    int fd = open(path, O_RDWR);
    sem_t* found = mmap(NULL, sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    _exit(fd >= 0 && found != MAP_FAILED && sem_post(found) == 0 ? 0 : 1);
  }
  ExpectEndsWell(other);
  ExpectEndsWell(first);
  EXPECT_EQ(0, ValueOf(named));
  EXPECT_EQ(0, sem_unlink(name));
  Pass();
}
