/* Files of procfs: of the process itself, of a child, of a child that is dead (which nobody can
 * read any more, not even when its number is taken again), of no process; and namespaces. */
#include <sys/stat.h>
#include <sys/wait.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

static int Opened(const char* format, pid_t pid) {
  char path[64];
  snprintf(path, sizeof(path), format, pid);
  return REQUIRE_SYSCALL(open(path, O_RDONLY));
}

static const char* Start(int fd) {
  static char text[64];
  memset(text, 0, sizeof(text));
  EXPECT(pread(fd, text, sizeof(text) - 1, 0) > 0);
  return text;
}

static void ExpectBegins(const char* begin, int fd) {
  EXPECT(strncmp(begin, Start(fd), strlen(begin)) == 0);
}

static void ExpectPidIn(int fd, pid_t pid) {
  char begin[16];
  snprintf(begin, sizeof(begin), "%d (", pid);
  ExpectBegins(begin, fd);
}

static void ExpectDead(int fd) {
  char byte;
  EXPECT_EQ(-1, pread(fd, &byte, 1, 0));
  EXPECT_EQ(ESRCH, (read(fd, &byte, 1), errno));
}

static void Idle(Child* self, void* unused) {
  (void)unused;
  AwaitCheck(self);
}

static const char* const kNamespaces[] = {"cgroup", "ipc", "mnt", "net", "pid", "uts", "user"};
enum { kNamespaceCount = sizeof(kNamespaces) / sizeof(*kNamespaces) };

static struct stat StatOf(int fd) {
  struct stat stat;
  EXPECT_EQ(0, fstat(fd, &stat));
  return stat;
}

int main(void) {
  Child* child = StartChild(0, Idle, NULL);
  const pid_t dead = REQUIRE_SYSCALL(fork());
  if (dead == 0) {
    while (true) pause();
  }
  int own = Opened("/proc/%d/stat", getpid());
  int own_maps = Opened("/proc/%d/maps", getpid());
  int own_directory = Opened("/proc/%d", getpid());
  int childs = Opened("/proc/%d/stat", child->pid);
  int childs_directory = Opened("/proc/%d", child->pid);
  int deads = Opened("/proc/%d/stat", dead);
  int deads_leader = Opened("/proc/%1$d/task/%1$d/stat", dead);
  int deads_directory = Opened("/proc/%d", dead);
  int uptime = Opened("/proc/uptime", 0);
  int namespaces[kNamespaceCount];
  ino_t inodes[kNamespaceCount];
  for (int i = 0; i < kNamespaceCount; ++i) {
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/ns/%s", kNamespaces[i]);
    namespaces[i] = REQUIRE_SYSCALL(open(path, i == 0 ? O_PATH : O_RDONLY | O_CLOEXEC));
    inodes[i] = StatOf(namespaces[i]).st_ino;
  }
  kill(dead, SIGKILL);
  REQUIRE_SYSCALL(waitpid(dead, NULL, 0));

  Checkpoint();

  ExpectPidIn(own, getpid());
  ExpectPidIn(childs, child->pid);
  EXPECT(strchr(Start(own_maps), '-') != NULL);
  ExpectDead(deads);
  ExpectDead(deads_leader);
  struct stat stat;
  EXPECT_EQ(0, fstatat(own_directory, "maps", &stat, 0));
  EXPECT_EQ(0, fstatat(childs_directory, "maps", &stat, 0));
  EXPECT_EQ(-1, fstatat(deads_directory, "maps", &stat, 0));
  EXPECT(strchr(Start(uptime), '.') != NULL);
  for (int i = 0; i < kNamespaceCount; ++i) {
    EXPECT_EQ(inodes[i], StatOf(namespaces[i]).st_ino);
    EXPECT_EQ(i == 0 ? 0 : FD_CLOEXEC, fcntl(namespaces[i], F_GETFD));
  }
  CheckChild(child);
  Pass();
}
