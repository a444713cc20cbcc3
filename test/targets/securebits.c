/* The secure bits. */
#include <linux/securebits.h>
#include <sys/prctl.h>

#include "test/targets/target.h"

int main(void) {
  int bits =
      SECBIT_NOROOT | SECBIT_KEEP_CAPS | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED;
  REQUIRE(prctl(PR_SET_SECUREBITS, bits) == 0);
  Checkpoint();
  EXPECT_EQ(bits, prctl(PR_GET_SECUREBITS));
  Pass();
}
