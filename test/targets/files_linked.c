/* Files that are in use by a name that is deleted, and have others: a restore finds the very files
 * again, by a name that the dump made and that is gone by now. */
#include <dirent.h>
#include <sys/stat.h>

#include "test/targets/target.h"

static int Made(const char* name, const char* text) {
  int fd = REQUIRE_SYSCALL(open(name, O_RDWR | O_CREAT | O_EXCL, 0640));
  REQUIRE(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  return fd;
}

static struct stat StatOf(int fd) {
  struct stat stat;
  EXPECT_EQ(0, fstat(fd, &stat));
  return stat;
}

static const char* LinkOf(int fd) {
  static char link[4096];
  char path[32];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  memset(link, 0, sizeof(link));
  EXPECT(readlink(path, link, sizeof(link) - 1) > 0);
  return link;
}

static void ExpectNoneLeft(void) {
  DIR* dir = opendir(".");
  for (struct dirent* entry; (entry = readdir(dir));) {
    EXPECT(strncmp(entry->d_name, "link_remap", 10) != 0);
  }
  closedir(dir);
}

int main(void) {
  int fd = Made("first", "contents");
  REQUIRE_SYSCALL(link("first", "second"));
  int twice = REQUIRE_SYSCALL(open("first", O_RDONLY));
  int living = REQUIRE_SYSCALL(open("second", O_RDONLY));
  char* mapped = (char*)REQUIRE_SYSCALL(mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0));
  REQUIRE_SYSCALL(lseek(fd, 3, SEEK_SET));
  REQUIRE_SYSCALL(unlink("first"));
  int only_mapped = Made("third", "only mapped");
  REQUIRE_SYSCALL(link("third", "fourth"));
  REQUIRE_SYSCALL(unlink("third"));
  char* alone =
      (char*)REQUIRE_SYSCALL(mmap(NULL, 11, PROT_READ | PROT_WRITE, MAP_SHARED, only_mapped, 0));
  close(only_mapped);
  int old = Made("taken", "old");
  REQUIRE_SYSCALL(link("taken", "elsewhere"));
  REQUIRE_SYSCALL(unlink("taken"));
  int new = Made("taken", "new");
  ino_t inode = StatOf(fd).st_ino, old_inode = StatOf(old).st_ino;

  Checkpoint();

  EXPECT_EQ(inode, StatOf(fd).st_ino);
  EXPECT_EQ(inode, StatOf(twice).st_ino);
  EXPECT_EQ(inode, StatOf(living).st_ino);
  EXPECT_EQ(old_inode, StatOf(old).st_ino);
  EXPECT_EQ(1, StatOf(fd).st_nlink);
  EXPECT_EQ(1, StatOf(old).st_nlink);
  EXPECT(strstr(LinkOf(fd), "/first (deleted)") != NULL);
  EXPECT(strstr(LinkOf(living), "/second") != NULL);
  EXPECT_EQ(3, lseek(fd, 0, SEEK_CUR));
  EXPECT_EQ(1, pwrite(fd, "C", 1, 0));
  EXPECT(memcmp("Contents", mapped, 8) == 0);
  alone[0] = 'O';
  char text[16] = "";
  EXPECT_EQ(11, pread(open("fourth", O_RDONLY), text, sizeof(text), 0));
  EXPECT_STREQ("Only mapped", text);
  memset(text, 0, sizeof(text));
  EXPECT_EQ(3, pread(new, text, sizeof(text), 0));
  EXPECT_STREQ("new", text);
  EXPECT_EQ(-1, access("first", F_OK));
  EXPECT_EQ(-1, access("third", F_OK));
  ExpectNoneLeft();
  Pass();
}
