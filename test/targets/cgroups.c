/* Cgroups of version 1 and 2: of a process, of a thread and of a child, with properties. They are
 * called as the directory above the working directory, which no other test has. */
#include <dirent.h>
#include <libgen.h>
#include <limits.h>
#include <sys/stat.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

static char name[NAME_MAX + 1];
static const char* const kHierarchies[] = {"cpu", "unified"};

static const char* In(const char* hierarchy, const char* below) {
  static char paths[2][PATH_MAX];
  static int next;
  char* path = paths[next++ % 2];
  snprintf(path, PATH_MAX, "/sys/fs/cgroup/%s/%.100s%s", hierarchy, name, below);
  return path;
}

static void Write(const char* path, const char* text) {
  const int file = REQUIRE_SYSCALL(open(path, O_WRONLY));
  REQUIRE_SYSCALL(write(file, text, strlen(text)));
  close(file);
}

static void Enter(const char* path, pid_t id) {
  char text[16];
  snprintf(text, sizeof text, "%d", id);
  Write(path, text);
}

static void ExpectValue(const char* path, const char* expected) {
  EXPECT_STREQ(expected, ReadText(path));
}

static void ExpectIn(const char* text, const char* hierarchy, const char* below) {
  char line[PATH_MAX];
  const bool second = strcmp(hierarchy, "unified") == 0;
  snprintf(line, sizeof line, ":%s:/%s%s\n", second ? "" : hierarchy, name, below);
  if (strstr(text, line) == NULL) Fail("no %s in %s", line, text);
}

static void ExpectOwned(const char* path, mode_t mode, uid_t uid, gid_t gid) {
  struct stat stat_buffer;
  EXPECT_EQ(0, stat(path, &stat_buffer));
  EXPECT_EQ(mode, stat_buffer.st_mode & 07777);
  EXPECT_EQ(uid, stat_buffer.st_uid);
  EXPECT_EQ(gid, stat_buffer.st_gid);
}

static volatile bool go;

static void* InOther(void* argument) {
  (void)argument;
  Enter(In("cpu", "/thread/tasks"), Tid());
  ThreadReady();
  while (!go) SleepMs(1);
  ExpectIn(ReadText("/proc/thread-self/cgroup"), "cpu", "/thread");
  Enter("/sys/fs/cgroup/cpu/tasks", Tid());
  return NULL;
}

static void Below(Child* self, void* argument) {
  (void)argument;
  for (int i = 0; i < 2; ++i) Enter(In(kHierarchies[i], "/in/below/cgroup.procs"), getpid());
  AwaitCheck(self);
  const char* text = ReadText("/proc/self/cgroup");
  for (int i = 0; i < 2; ++i) ExpectIn(text, kHierarchies[i], "/in/below");
}

static void MakeCgroups(void) {
  for (int i = 0; i < 2; ++i) {
    if (mkdir(In(kHierarchies[i], ""), 0755) < 0) Skip("no cgroups of both versions to write to");
    REQUIRE_SYSCALL(mkdir(In(kHierarchies[i], "/in"), 0755));
    REQUIRE_SYSCALL(mkdir(In(kHierarchies[i], "/in/below"), 0755));
    REQUIRE_SYSCALL(mkdir(In(kHierarchies[i], "/in/empty"), 0755));
  }
  REQUIRE_SYSCALL(mkdir(In("cpu", "/thread"), 0755));
  Write(In("cpu", "/in/cpu.shares"), "512");
  Write(In("cpu", "/in/empty/cpu.shares"), "300");
  Write(In("unified", "/in/cgroup.max.depth"), "7");
  REQUIRE_SYSCALL(chown(In("cpu", "/in"), 1000, 1001));
  REQUIRE_SYSCALL(chmod(In("cpu", "/in"), 0750));
  REQUIRE_SYSCALL(chown(In("unified", "/in/cgroup.max.depth"), 1002, 1003));
}

static void RemoveCgroups(void) {
  for (int i = 0; i < 2; ++i) {
    char root[PATH_MAX];
    snprintf(root, sizeof root, "/sys/fs/cgroup/%s/cgroup.procs", kHierarchies[i]);
    Enter(root, getpid());
    EXPECT_EQ(0, rmdir(In(kHierarchies[i], "/in/empty")));
  }
}

int main(void) {
  char cwd[PATH_MAX];
  REQUIRE(getcwd(cwd, sizeof cwd) != NULL);
  snprintf(name, sizeof name, "%s", basename(dirname(cwd)));
  MakeCgroups();
  for (int i = 0; i < 2; ++i) Enter(In(kHierarchies[i], "/in/cgroup.procs"), getpid());
  const pthread_t other = StartThread(InOther, NULL);
  WaitThreadsReady(1);
  Child* child = StartChild(0, Below, NULL);
  Checkpoint();
  const char* text = ReadText("/proc/thread-self/cgroup");
  for (int i = 0; i < 2; ++i) ExpectIn(text, kHierarchies[i], "/in");
  ExpectValue(In("cpu", "/in/cpu.shares"), "512\n");
  ExpectValue(In("cpu", "/in/empty/cpu.shares"), "300\n");
  ExpectValue(In("cpu", "/in/below/cpu.shares"), "1024\n");
  ExpectValue(In("unified", "/in/cgroup.max.depth"), "7\n");
  ExpectOwned(In("cpu", "/in"), 0750, 1000, 1001);
  ExpectOwned(In("unified", "/in/cgroup.max.depth"), 0644, 1002, 1003);
  CheckChild(child);
  go = true;
  Join(other);
  RemoveCgroups();
  Pass();
}
