/* Credentials of its own in one thread: the kernel keeps them by thread, libc only hides it. */
#include "test/targets/target.h"

static void ExpectIds(const char* uid, const char* gid) {
  EXPECT_STREQ(uid, StatusField("Uid"));
  EXPECT_STREQ(gid, StatusField("Gid"));
}

static void* Body(void* unused) {
  /* Raw calls: the library's would change every thread. */
  REQUIRE(syscall(SYS_setresgid, 2001, 2002, 2003) == 0);
  REQUIRE(syscall(SYS_setresuid, 1001, 0, 1003) == 0);
  ThreadReady();
  WaitForGo();
  ExpectIds("1001\t0\t1003\t0", "2001\t2002\t2003\t2002");
  return unused;
}

int main(void) {
  pthread_t thread = StartThread(Body, NULL);
  WaitThreadsReady(1);
  Checkpoint();
  ExpectIds("0\t0\t0\t0", "0\t0\t0\t0");
  Join(thread);
  Pass();
}
