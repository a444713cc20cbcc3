/* A file and a device that a restore is given: descriptors 20 and 21. The file is called "own", and
 * the one that is given in its place "other"; both keep offset and flags. */
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "test/targets/target.h"

static int Opened(const char* name, int flags, int number) {
  return REQUIRE_SYSCALL(dup2(REQUIRE_SYSCALL(open(name, flags, 0600)), number));
}

int main(void) {
  int own = Opened("own", O_RDWR | O_CREAT | O_APPEND, 20);
  REQUIRE(write(own, "its own", 7) == 7);
  int other = REQUIRE_SYSCALL(open("other", O_RDWR | O_CREAT, 0600));
  REQUIRE(write(other, "another", 7) == 7);
  close(other);
  int device = Opened("/dev/kmsg", O_WRONLY, 21);

  Event event = Checkpoint();

  char text[16] = "";
  EXPECT_EQ(7, pread(own, text, sizeof(text), 0));
  EXPECT_STREQ(event == kRestored ? "another" : "its own", text);
  struct stat stat;
  EXPECT_EQ(0, fstat(device, &stat));
  EXPECT_EQ(makedev(1, 11), stat.st_rdev);
  Pass();
}
