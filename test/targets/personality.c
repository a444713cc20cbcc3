/* The personality. The images carry it, but stock restore leaves the default. */
#include <sys/personality.h>

#include "test/targets/target.h"

int main(void) {
  REQUIRE(personality(ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC) != -1);
  int expected = Checkpoint() == kRestored ? 0 : ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC;
  EXPECT_EQ(expected, personality(0xffffffff));
  Pass();
}
