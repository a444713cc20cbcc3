/* Three filters, one on the other, with flags. */
#include "test/targets/seccomp_common.h"

int main(void) {
  RefuseCall(SYS_getppid, 71, 0);
  RefuseCall(SYS_getsid, 72, SECCOMP_FILTER_FLAG_LOG);
  RefuseCall(SYS_getpgid, 73, SECCOMP_FILTER_FLAG_SPEC_ALLOW);
  Checkpoint();
  EXPECT_STREQ("2", StatusField("Seccomp"));
  EXPECT_STREQ("3", StatusField("Seccomp_filters"));
  ExpectRefused(SYS_getppid, 71);
  ExpectRefused(SYS_getsid, 72);
  ExpectRefused(SYS_getpgid, 73);
  Pass();
}
