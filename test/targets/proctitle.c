/* Arguments and environment: rewritten in place, and the argument area moved as by setproctitle. */
#include <linux/prctl.h>
#include <sys/prctl.h>

#include "test/targets/target.h"

static const char kTitle[] =
    "a new title, longer than all arguments were, of a process that moved it";

int main(void) {
  char* area = Map(4096);
  memcpy(area, kTitle, sizeof(kTitle));
  REQUIRE(setenv("PATH", "/elsewhere", 1) == 0);
  /* The end first where the new place is above the old one, the start first where it is below. */
  long end = (long)(area + sizeof(kTitle)), start = (long)area;
  if (prctl(PR_SET_MM, PR_SET_MM_ARG_START, start, 0, 0) != 0) {
    if (errno == EPERM) {
      /* Takes CAP_SYS_RESOURCE: then in place, by the old areas alone. */
      area = (char*)program_invocation_name;
      area[0] = '#';
    } else {
      REQUIRE(prctl(PR_SET_MM, PR_SET_MM_ARG_END, end, 0, 0) == 0);
      REQUIRE(prctl(PR_SET_MM, PR_SET_MM_ARG_START, start, 0, 0) == 0);
    }
  } else {
    REQUIRE(prctl(PR_SET_MM, PR_SET_MM_ARG_END, end, 0, 0) == 0);
  }
  char command[4096], environment[4096];
  snprintf(command, sizeof(command), "%s", ReadText("/proc/self/cmdline"));
  snprintf(environment, sizeof(environment), "%s", ReadText("/proc/self/environ"));
  REQUIRE(command[0] == '#' || strcmp(command, kTitle) == 0);
  Checkpoint();
  EXPECT_STREQ(command, ReadText("/proc/self/cmdline"));
  EXPECT_STREQ(environment, ReadText("/proc/self/environ"));
  EXPECT_STREQ("/elsewhere", getenv("PATH"));
  Pass();
}
