/* Files whose name is gone: open once and twice, in two processes, under a name that another file
 * has by now, in a directory that is gone too, or that never had a name; and what else can be
 * deleted: a directory, the working directory, a fifo with bytes in it, a device. */
#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

static int Made(const char* name, const char* text) {
  int fd = REQUIRE_SYSCALL(open(name, O_RDWR | O_CREAT | O_EXCL, 0640));
  REQUIRE(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  return fd;
}

static const char* Contents(int fd) {
  static char text[64];
  memset(text, 0, sizeof(text));
  EXPECT(pread(fd, text, sizeof(text) - 1, 0) >= 0);
  return text;
}

static struct stat StatOf(int fd) {
  struct stat stat;
  EXPECT_EQ(0, fstat(fd, &stat));
  return stat;
}

/* The descriptor's link ends with it. */
static void ExpectLink(const char* end, int fd) {
  static char link[4096];
  char path[32];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  memset(link, 0, sizeof(link));
  EXPECT(readlink(path, link, sizeof(link) - 1) > (ssize_t)strlen(end));
  EXPECT_STREQ(end, link + strlen(link) - strlen(end));
  EXPECT_EQ(0, StatOf(fd).st_nlink);
}

static int twice;

static void Sharer(Child* self, void* unused) {
  (void)unused;
  int own = REQUIRE_SYSCALL(open("/proc/self/fd/3", O_RDONLY)); /* as a file of its own */
  AwaitCheck(self);
  EXPECT_STREQ("Twice", Contents(own)); /* as the parent has written meanwhile */
  EXPECT_EQ(StatOf(twice).st_ino, StatOf(own).st_ino);
  ExpectLink("/twice (deleted)", own);
}

int main(void) {
  twice = Made("twice", "twice");
  REQUIRE_SYSCALL(dup2(twice, 3));
  int again = REQUIRE_SYSCALL(open("twice", O_RDONLY));
  REQUIRE_SYSCALL(lseek(twice, 2, SEEK_SET));
  REQUIRE_SYSCALL(fchmod(twice, 04711));
  REQUIRE_SYSCALL(fchown(twice, 12, 34));
  REQUIRE_SYSCALL(fchmod(twice, 04711));
  struct timespec times[2] = {{1000, 2000}, {3000, 4000}};
  REQUIRE_SYSCALL(futimens(twice, times));
  REQUIRE_SYSCALL(unlink("twice"));
  Child* sharer = StartChild(0, Sharer, NULL);

  int old = Made("name", "old");
  REQUIRE_SYSCALL(unlink("name"));
  int new = Made("name", "new");
  REQUIRE_SYSCALL(mkdir("gone", 0700));
  int below = Made("gone/below", "below");
  REQUIRE_SYSCALL(unlink("gone/below"));
  int directory = REQUIRE_SYSCALL(open("gone", O_RDONLY | O_DIRECTORY));
  REQUIRE_SYSCALL(rmdir("gone"));
  /* A restore has to remove the innermost first. */
  REQUIRE(mkdir("outer", 0700) == 0 && mkdir("outer/inner", 0700) == 0);
  int outer = REQUIRE_SYSCALL(open("outer", O_RDONLY | O_DIRECTORY));
  int inner = REQUIRE_SYSCALL(open("outer/inner", O_RDONLY | O_DIRECTORY));
  int innermost = Made("outer/inner/most", "innermost");
  REQUIRE_SYSCALL(unlink("outer/inner/most"));
  REQUIRE(rmdir("outer/inner") == 0 && rmdir("outer") == 0);
  REQUIRE_SYSCALL(mkfifo("fifo", 0600));
  int fifo = REQUIRE_SYSCALL(open("fifo", O_RDWR | O_NONBLOCK));
  REQUIRE(write(fifo, "in it", 5) == 5);
  REQUIRE_SYSCALL(unlink("fifo"));
  REQUIRE_SYSCALL(mknod("null", S_IFCHR | 0600, makedev(1, 3)));
  int null = open("null", O_WRONLY); /* refused where devices are not allowed (nodev) */
  REQUIRE_SYSCALL(unlink("null"));
  int log = REQUIRE_SYSCALL(open("log", O_WRONLY | O_APPEND | O_CREAT, 0600));
  REQUIRE(write(log, "line\n", 5) == 5);
  REQUIRE_SYSCALL(unlink("log"));
  int unnamed = open(".", O_TMPFILE | O_RDWR, 0600);
  if (unnamed >= 0) REQUIRE(write(unnamed, "unnamed", 7) == 7);
  REQUIRE_SYSCALL(mkdir("here", 0700));
  REQUIRE_SYSCALL(chdir("here"));
  REQUIRE_SYSCALL(rmdir("../here"));

  Event event = Checkpoint();

  struct stat stat = StatOf(twice);
  EXPECT_EQ(S_IFREG | 04711, stat.st_mode);
  EXPECT_EQ(12, stat.st_uid);
  EXPECT_EQ(34, stat.st_gid);
  EXPECT_EQ(5, stat.st_size);
  EXPECT_EQ(1000, stat.st_atim.tv_sec);
  EXPECT_EQ(2000, stat.st_atim.tv_nsec);
  EXPECT_EQ(3000, stat.st_mtim.tv_sec);
  EXPECT_EQ(4000, stat.st_mtim.tv_nsec);
  EXPECT_EQ(stat.st_ino, StatOf(again).st_ino);
  EXPECT_EQ(2, lseek(twice, 0, SEEK_CUR));
  EXPECT_STREQ("twice", Contents(again));
  EXPECT_EQ(1, pwrite(twice, "T", 1, 0));
  EXPECT_STREQ("Twice", Contents(again));
  ExpectLink("/twice (deleted)", again);
  CheckChild(sharer);

  EXPECT_STREQ("old", Contents(old));
  EXPECT_STREQ("new", Contents(new));
  /* Stock restore finds the name taken, and gives the old file another one to lose. */
  ExpectLink(event == kResumed ? "/name (deleted)" : " (deleted)", old);
  EXPECT_EQ(1, StatOf(new).st_nlink);
  EXPECT_STREQ("below", Contents(below));
  ExpectLink("/gone/below (deleted)", below);
  ExpectLink("/gone (deleted)", directory);
  EXPECT(S_ISDIR(StatOf(directory).st_mode));
  ExpectLink("/outer (deleted)", outer);
  ExpectLink("/outer/inner (deleted)", inner);
  ExpectLink("/outer/inner/most (deleted)", innermost);
  EXPECT_STREQ("innermost", Contents(innermost));
  ExpectLink("/fifo (deleted)", fifo);
  char text[8] = "";
  EXPECT_EQ(5, read(fifo, text, sizeof(text)));
  EXPECT_STREQ("in it", text);
  if (null >= 0) {
    ExpectLink("/null (deleted)", null);
    EXPECT_EQ(makedev(1, 3), StatOf(null).st_rdev);
    EXPECT_EQ(3, write(null, "any", 3));
  }
  ExpectLink("/log (deleted)", log);
  EXPECT_EQ(O_APPEND, fcntl(log, F_GETFL) & O_APPEND);
  EXPECT_EQ(5, StatOf(log).st_size);
  EXPECT_EQ(5, write(log, "line\n", 5));
  EXPECT_EQ(10, StatOf(log).st_size);
  if (unnamed >= 0) {
    EXPECT_STREQ("unnamed", Contents(unnamed));
    EXPECT_EQ(0, StatOf(unnamed).st_nlink);
    /* No restore can open a file that is there already with this flag, which says no more than how
     * it was opened. */
    if (event == kResumed) EXPECT_EQ(O_TMPFILE, fcntl(unnamed, F_GETFL) & O_TMPFILE);
  }
  EXPECT(getcwd(text, sizeof(text)) == NULL);
  EXPECT_EQ(-1, open("new", O_CREAT | O_WRONLY, 0600));
  EXPECT_EQ(-1, access("../here", F_OK));
  EXPECT_EQ(-1, access("../outer", F_OK));
  Pass();
}
