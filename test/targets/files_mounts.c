/* Files of a tmpfs and of an overlay, from below and copied up, open and mapped; and the ends of
 * fifos that nobody has opened from the other side yet. */
#include <sys/mount.h>
#include <sys/stat.h>

#include "test/targets/target.h"

static void Make(const char* path, const char* text) {
  const int file = REQUIRE_SYSCALL(open(path, O_WRONLY | O_CREAT, 0640));
  REQUIRE_SYSCALL(write(file, text, strlen(text)));
  REQUIRE_SYSCALL(close(file));
}

static void ExpectAt(int file, off_t position, const char* text) {
  char got[64] = "";
  EXPECT_EQ(position, lseek(file, 0, SEEK_CUR));
  EXPECT(pread(file, got, sizeof got - 1, 0) >= 0);
  EXPECT_STREQ(text, got);
}

static char* MapFile(int file, int flags) {
  char* memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, flags, file, 0);
  REQUIRE(memory != MAP_FAILED);
  return memory;
}

int main(void) {
  static const char* const kDirectories[] = {"tmp", "lower", "upper", "work", "merged"};
  for (int i = 0; i < 5; ++i) REQUIRE_SYSCALL(mkdir(kDirectories[i], 0755));
  if (mount("tmpfs", "tmp", "tmpfs", 0, NULL) < 0) Skip("nothing may be mounted");
  Make("lower/below", "from below");
  Make("lower/changed", "old");
  if (mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work") < 0) {
    Skip("no overlay can be mounted here");
  }
  Make("tmp/file", "in memory");
  Make("merged/changed", "new");
  const int in_memory = REQUIRE_SYSCALL(open("tmp/file", O_RDWR));
  const int below = REQUIRE_SYSCALL(open("merged/below", O_RDONLY));
  const int changed = REQUIRE_SYSCALL(open("merged/changed", O_RDWR));
  REQUIRE_SYSCALL(lseek(in_memory, 3, SEEK_SET));
  REQUIRE_SYSCALL(lseek(below, 4, SEEK_SET));
  char* shared = MapFile(in_memory, MAP_SHARED);
  char* copy = MapFile(below, MAP_PRIVATE);
  copy[0] = 'F';
  REQUIRE_SYSCALL(mkfifo("fifo", 0600));
  REQUIRE_SYSCALL(mkfifo("both", 0600));
  const int reader = REQUIRE_SYSCALL(open("fifo", O_RDONLY | O_NONBLOCK));
  const int both = REQUIRE_SYSCALL(open("both", O_RDWR));
  Checkpoint();
  ExpectAt(in_memory, 3, "in memory");
  ExpectAt(below, 4, "from below");
  ExpectAt(changed, 0, "new");
  EXPECT_EQ(3, pwrite(changed, "NEW", 3, 0));
  shared[0] = 'I';
  ExpectAt(in_memory, 3, "In memory");
  EXPECT_EQ('F', copy[0]);
  EXPECT_EQ('r', copy[1]);
  char got[8] = "";
  EXPECT_EQ(0, read(reader, got, sizeof got));
  const int writer = open("fifo", O_WRONLY | O_NONBLOCK);
  EXPECT_EQ(2, write(writer, "hi", 2));
  EXPECT_EQ(2, read(reader, got, sizeof got));
  EXPECT_EQ(3, write(both, "you", 3));
  EXPECT_EQ(3, read(both, got, sizeof got));
  EXPECT_STREQ("you", got);
  Pass();
}
