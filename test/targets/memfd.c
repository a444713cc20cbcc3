/* Memory of memfd_create(2): what its descriptors and mappings see, its size, seals, owner and
 * mode, holes; one that is mapped and has no descriptor, in two processes; one that nobody maps. */
#include <sys/stat.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

enum { kPage = 4096, kPages = 64 };

static char* MapMemfd(int fd, int protection, int flags) {
  char* memory = mmap(NULL, kPages * kPage, protection, flags, fd, 0);
  REQUIRE(memory != MAP_FAILED);
  return memory;
}

static int Memfd(const char* name, unsigned flags, off_t size) {
  const int fd = (int)REQUIRE_SYSCALL(memfd_create(name, flags));
  REQUIRE_SYSCALL(ftruncate(fd, size));
  return fd;
}

static char* common;

static void Sharer(Child* self, void* unused) {
  (void)unused;
  AwaitCheck(self);
  ExpectFilled("what the parent wrote", common, kPage, 1);
  strcpy(common + 2 * kPage, "to the parent");
}

/* The link of a descriptor, as it was before. */
static void ExpectLink(const char* expected, int fd) {
  char path[64];
  char link[256] = "";
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  EXPECT(readlink(path, link, sizeof link - 1) > 0);
  EXPECT_STREQ(expected, link);
}

int main(void) {
  /* Only mapped: shared, private, and shared for reading alone, at an offset. */
  const int gone = Memfd("a name, with spaces", 0, kPages * kPage);
  REQUIRE_SYSCALL(fchmod(gone, 0640));
  common = MapMemfd(gone, PROT_READ | PROT_WRITE, MAP_SHARED);
  char* private = MapMemfd(gone, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  const char* reader = mmap(NULL, kPage, PROT_READ, MAP_SHARED, gone, 3 * kPage);
  REQUIRE(reader != MAP_FAILED);
  REQUIRE_SYSCALL(close(gone));
  Fill(common, kPage, 1);
  Fill(common + 3 * kPage, kPage, 2);
  Fill(private + kPage, kPage, 3);

  /* Only open: twice, with places of their own, not a whole number of pages, with a hole. */
  const int open_fd = Memfd("open", MFD_CLOEXEC, 10 * kPage + 100);
  REQUIRE_SYSCALL(pwrite(open_fd, "the end", 7, 10 * kPage + 93));
  REQUIRE_SYSCALL(pwrite(open_fd, "the start", 9, 0));
  REQUIRE_SYSCALL(lseek(open_fd, 10 * kPage + 93, SEEK_SET));
  REQUIRE_SYSCALL(fchown(open_fd, 12, 34));
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", open_fd);
  const int again = (int)REQUIRE_SYSCALL(open(path, O_RDONLY | O_CLOEXEC));
  REQUIRE_SYSCALL(lseek(again, 4, SEEK_SET));

  /* Sealed for good, and sealed for all but the mapping that was there. */
  const int sealed = Memfd("sealed", MFD_ALLOW_SEALING, 100);
  REQUIRE_SYSCALL(pwrite(sealed, "sealed", 6, 50));
  const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  REQUIRE_SYSCALL(fcntl(sealed, F_ADD_SEALS, seals));
  const int future = Memfd("future", MFD_ALLOW_SEALING, kPages * kPage);
  char* writer = MapMemfd(future, PROT_READ | PROT_WRITE, MAP_SHARED);
  Fill(writer, kPage, 4);
  REQUIRE_SYSCALL(fcntl(future, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
  const int empty = Memfd("", 0, 0);
  Child* sharer = StartChild(0, Sharer, NULL);

  Checkpoint();

  ExpectFilled("shared", common, kPage, 1);
  ExpectFilled("at an offset", reader, kPage, 2);
  ExpectFilled("below the private copy", private, kPage, 1);
  ExpectFilled("the private copy", private + kPage, kPage, 3);
  EXPECT_EQ(0, common[kPage]);
  CheckChild(sharer);
  EXPECT_STREQ("to the parent", common + 2 * kPage);
  common[3 * kPage] = 'x';
  EXPECT_EQ('x', reader[0]);
  EXPECT_EQ('x', private[3 * kPage]);
  EXPECT(strstr(SmapsField(common, "maps"), "/memfd:a name, with spaces (deleted)") != NULL);

  char text[16] = "";
  EXPECT_EQ(7, read(open_fd, text, sizeof text));
  EXPECT_STREQ("the end", text);
  memset(text, 0, sizeof text);
  EXPECT_EQ(5, read(again, text, 5));
  EXPECT_STREQ("start", text);
  EXPECT_EQ(-1, write(again, "x", 1));
  EXPECT_EQ(10 * kPage, lseek(open_fd, kPage, SEEK_DATA));
  struct stat stat;
  EXPECT_EQ(0, fstat(open_fd, &stat));
  EXPECT_EQ(12, stat.st_uid);
  EXPECT_EQ(34, stat.st_gid);
  EXPECT_EQ(10 * kPage + 100, stat.st_size);
  struct stat other;
  EXPECT_EQ(0, fstat(again, &other));
  EXPECT_EQ(stat.st_ino, other.st_ino);
  EXPECT_EQ(FD_CLOEXEC, fcntl(open_fd, F_GETFD));
  EXPECT_EQ(F_SEAL_SEAL, fcntl(open_fd, F_GET_SEALS));
  ExpectLink("/memfd:open (deleted)", again);

  EXPECT_EQ(seals, fcntl(sealed, F_GET_SEALS));
  memset(text, 0, sizeof text);
  EXPECT_EQ(6, pread(sealed, text, 6, 50));
  EXPECT_STREQ("sealed", text);
  EXPECT_EQ(-1, pwrite(sealed, "x", 1, 0));
  EXPECT_EQ(F_SEAL_FUTURE_WRITE, fcntl(future, F_GET_SEALS));
  ExpectFilled("sealed after it was mapped", writer, kPage, 4);
  writer[kPage] = 'y';
  memset(text, 0, sizeof text);
  EXPECT_EQ(1, pread(future, text, 1, kPage));
  EXPECT_STREQ("y", text);
  EXPECT_EQ(-1, pwrite(future, "x", 1, 0));
  EXPECT_EQ(0, lseek(empty, 0, SEEK_END));
  ExpectLink("/memfd: (deleted)", empty);
  Pass();
}
