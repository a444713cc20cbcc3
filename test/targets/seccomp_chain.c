/* Four filters, one on the other, with flags. Of two that refuse a call, the younger one's errno is
 * reported, so their order shows. */
#include "test/targets/seccomp_common.h"

int main(void) {
  RefuseCall(SYS_getppid, 71, 0);
  RefuseCall(SYS_getsid, 72, SECCOMP_FILTER_FLAG_LOG);
  RefuseCall(SYS_getpgid, 73, SECCOMP_FILTER_FLAG_SPEC_ALLOW);
  RefuseCall(SYS_getppid, 74, 0);
  Checkpoint();
  EXPECT_STREQ("2", StatusField("Seccomp"));
  EXPECT_STREQ("4", StatusField("Seccomp_filters"));
  ExpectRefused(SYS_getppid, 74);
  ExpectRefused(SYS_getsid, 72);
  ExpectRefused(SYS_getpgid, 73);
  Pass();
}
