/* Two processes that write to memory, give it back, move and map it anew without a pause, and know
 * at every moment what each page of it has to hold. */
#include <sys/wait.h>

#include "test/targets/churn.h"

enum { kBoards = 8 };

static void Live(void) {
  while (access("go", R_OK) != 0) {
    for (int i = 0; i < kBoards; ++i) Step();
    SleepMs(1);
  }
  uint64_t before = round_number;
  CheckAreas();
  EXPECT_EQ(before, round_number);
}

int main(void) {
  PrepareAreas();
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    round_number = 1000;
    Live();
    _exit(0);
  }
  for (int i = 0; i < 2 * kPages; ++i) Step();
  Ready();
  Live();
  int status = -1;
  EXPECT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status);
  Pass();
}
