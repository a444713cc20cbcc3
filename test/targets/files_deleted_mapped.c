/* Mappings of files whose name is gone, with no descriptor of them left: shared ones, of which one
 * writes what the other sees, and private ones with pages that were written to. The program itself
 * is such a file. */
#include <sys/stat.h>

#include "test/targets/target.h"

enum { kPage = 4096, kPages = 16 };

static char* Mapped(int fd, int kind) {
  return (char*)REQUIRE_SYSCALL(mmap(NULL, kPages * kPage, PROT_READ | PROT_WRITE, kind, fd, 0));
}

static void CopyProgram(const char* to) {
  static char piece[1 << 16];
  int in = REQUIRE_SYSCALL(open("/proc/self/exe", O_RDONLY));
  int out = REQUIRE_SYSCALL(open(to, O_WRONLY | O_CREAT | O_TRUNC, 0700));
  for (ssize_t got; (got = read(in, piece, sizeof(piece))) > 0;) {
    REQUIRE(write(out, piece, got) == got);
  }
  close(in);
  close(out);
}

int main(int argc, char** argv) {
  if (argc == 1) {
    CopyProgram("program");
    char* arguments[] = {argv[0], "as a copy", NULL};
    REQUIRE_SYSCALL(execv("./program", arguments));
  }
  REQUIRE_SYSCALL(unlink("program"));
  int fd = REQUIRE_SYSCALL(open("mapped", O_RDWR | O_CREAT, 0600));
  char* first = Map(kPages * kPage);
  Fill(first, kPages * kPage, 3);
  REQUIRE(write(fd, first, kPages * kPage) == kPages * kPage);
  char* shared = Mapped(fd, MAP_SHARED);
  char* other = Mapped(fd, MAP_SHARED);
  char* private = Mapped(fd, MAP_PRIVATE);
  close(fd);
  REQUIRE_SYSCALL(unlink("mapped"));
  Fill(private + kPage, kPage, 4);
  memset(shared + 5 * kPage, 'x', kPage); /* not on the disk, it may be */

  Checkpoint();

  ExpectFilled("the shared mapping", shared, 5 * kPage, 3);
  for (int i = 0; i < kPage; ++i) EXPECT_EQ('x', private[5 * kPage + i]);
  ExpectFilled("what was written to the private one", private + kPage, kPage, 4);
  EXPECT(memcmp(first + 6 * kPage, private + 6 * kPage, 10 * kPage) == 0);
  shared[7 * kPage] = 'y';
  EXPECT_EQ('y', other[7 * kPage]);
  EXPECT(strstr(SmapsField(shared, "maps"), "/mapped (deleted)") != NULL);
  EXPECT(strstr(SmapsField(private, "maps"), "/mapped (deleted)") != NULL);
  EXPECT(strstr(SmapsField((void*)main, "maps"), "/program (deleted)") != NULL);
  char exe[4096] = "";
  EXPECT(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
  EXPECT(strstr(exe, "/program (deleted)") != NULL);
  EXPECT_EQ(-1, access("program", F_OK));
  EXPECT_EQ(-1, access("mapped", F_OK));
  Pass();
}
