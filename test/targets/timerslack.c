/* The slack of the timers. The images have no field for it, so that it can only be left alone. */
#include <sys/prctl.h>

#include "test/targets/target.h"

int main(void) {
  REQUIRE(prctl(PR_SET_TIMERSLACK, 123456) == 0);
  /* Restored, it is the default. */
  long expected = Checkpoint() == kRestored ? 50000 : 123456;
  EXPECT_EQ(expected, prctl(PR_GET_TIMERSLACK));
  Pass();
}
