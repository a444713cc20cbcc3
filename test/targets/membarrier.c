/* The memory barrier commands that a process registered for. */
#include <linux/membarrier.h>

#include "test/targets/target.h"

enum { kGetRegistrations = 1 << 9 };

int main(void) {
  REQUIRE(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0) == 0);
  REQUIRE(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0) == 0);
  long registered = syscall(SYS_membarrier, kGetRegistrations, 0);
  if (registered < 0) Skip("this kernel does not tell registrations");
  Checkpoint();
  EXPECT_EQ(registered, syscall(SYS_membarrier, kGetRegistrations, 0));
  EXPECT_EQ(0, syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0));
  EXPECT_EQ(-1, syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0));
  Pass();
}
