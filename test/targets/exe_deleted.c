/* A program whose file is deleted, in a directory that stays. */
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "test/targets/target.h"

static void CopySelf(void) {
  const int from = REQUIRE_SYSCALL(open("/proc/self/exe", O_RDONLY));
  const int to = REQUIRE_SYSCALL(open("program", O_WRONLY | O_CREAT | O_TRUNC, 0700));
  struct stat stat_buffer;
  REQUIRE_SYSCALL(fstat(from, &stat_buffer));
  for (off_t left = stat_buffer.st_size; left > 0;) {
    left -= REQUIRE_SYSCALL(sendfile(to, from, NULL, (size_t)left));
  }
  REQUIRE_SYSCALL(close(to));
  REQUIRE_SYSCALL(close(from));
}

int main(int argc, char** argv) {
  if (argc == 1) {
    CopySelf();
    execl("program", argv[0], "again", (char*)NULL);
    Error(__FILE__, __LINE__, "execl");
  }
  REQUIRE_SYSCALL(unlink("program"));
  char before[4096] = "", after[4096] = "";
  REQUIRE(readlink("/proc/self/exe", before, sizeof(before) - 1) > 0);
  Checkpoint();
  EXPECT(readlink("/proc/self/exe", after, sizeof(after) - 1) > 0);
  EXPECT(strstr(after, " (deleted)") != NULL);
  EXPECT_STREQ(strrchr(before, '/'), strrchr(after, '/'));
  EXPECT_EQ(-1, access("program", F_OK));
  /* Its code and data are there to be used, and its file to be read. */
  const int file = open("/proc/self/exe", O_RDONLY);
  char magic[4];
  EXPECT_EQ(4, read(file, magic, sizeof magic));
  EXPECT(memcmp(magic, "\177ELF", 4) == 0);
  Pass();
}
