/* The login that the audit subsystem blames. */
#include "test/targets/target.h"

int main(void) {
  int fd = open("/proc/self/loginuid", O_WRONLY);
  if (fd < 0) Skip("this kernel has no loginuid");
  if (write(fd, "4711", 4) != 4) Skip("a loginuid cannot be set here");
  close(fd);
  Checkpoint();
  EXPECT_STREQ("4711", ReadText("/proc/self/loginuid"));
  Pass();
}
