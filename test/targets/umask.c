/* The file mode creation mask. */
#include <sys/stat.h>

#include "test/targets/target.h"

int main(void) {
  umask(0135);
  Checkpoint();
  EXPECT_STREQ("0135", StatusField("Umask"));
  EXPECT_EQ(0135, umask(0));
  Pass();
}
