/* An open directory. */
#include <sys/stat.h>

#include "test/targets/target.h"

int main(void) {
  REQUIRE(mkdir("dir", 0755) == 0 && mkdir("dir/inner", 0755) == 0);
  int fd = REQUIRE_SYSCALL(open("dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Event event = Checkpoint();
  struct stat status;
  EXPECT(fstatat(fd, "inner", &status, 0) == 0);
  EXPECT(S_ISDIR(status.st_mode));
  /* Stock restore opens it without this flag, which changes nothing for an open directory. */
  EXPECT_EQ(event == kResumed ? O_DIRECTORY : 0, fcntl(fd, F_GETFL) & O_DIRECTORY);
  EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
  char entries[1024];
  EXPECT(syscall(SYS_getdents64, fd, entries, sizeof(entries)) > 0);
  Pass();
}
